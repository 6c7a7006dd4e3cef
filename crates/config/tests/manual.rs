//! docs/configuration.md is made from the table of keys and must not lag behind it.

use std::path::Path;

/// `UPDATE_DOCS=1 cargo test -p zooid-config --test manual` writes the page.
#[test]
fn the_page_of_the_manual_is_fresh() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
    let made = zooid_config::render_markdown();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::create_dir_all(page.parent().unwrap()).unwrap();
        std::fs::write(&page, made).unwrap();
        return;
    }
    let written = std::fs::read_to_string(&page).unwrap_or_default();
    assert!(
        written == made,
        "docs/configuration.md is not what the table of keys says; run \
         UPDATE_DOCS=1 cargo test -p zooid-config --test manual"
    );
}
