//! The page of the manual about configuration, made from the table.

use std::fmt::Write as _;

use crate::keys::{KEYS, MANUAL_NAMES};
use crate::registry::{Class, Demand, Form, KeySpec, Kind};

const INTRODUCTION: &str = "\
# Configuration

<!-- Made from the table in crates/config/src/keys.rs; do not edit. -->

Zooid reads the `zoo.cfg` of Apache ZooKeeper 3.9.5 unchanged: `zooid serve --config zoo.cfg`. Without
a file it listens on port 2181 and keeps its data in `./data`. `zooid check-config zoo.cfg` says what
a file means, without starting anything.

## Where a setting comes from

The strongest first:

1. `--data-dir` and `--client-port` on the command line.
2. The configuration file.
3. `-Dname=value` words on the command line.
4. `-Dname=value` words of the environment variable `JVMFLAGS`, then of `SERVER_JVMFLAGS`. Their other
   words are for a Java virtual machine and are ignored. `zookeeper-env.sh` and `java.env` in the folder
   of the configuration file are run by `sh` first, as the scripts of Apache ZooKeeper do, and what they
   set counts.
5. `ZOO_DATADIR_AUTOCREATE_DISABLE`: any value is the same as `-Dzookeeper.datadir.autocreate=false`.

In the tables below a key of the file that has a property, say `zookeeper.snapCount`, can be given as
`snapCount=…` in the file or as `-Dzookeeper.snapCount=…`. A key without a property works in the file
only, and one without a key works as a property only.

## How the file is read

As Java reads properties files: ISO-8859-1, `key=value`, `key:value` or `key value`; `#` and `!` begin
a comment line; a backslash at the end of a line continues it, and other backslashes are written twice.
The last of several lines for one key counts. Where the table says *number*, the file must have a
decimal number for keys without a property; for all others a leading `0x` is hexadecimal, a leading `0`
is octal, and what is no number means the default, with a warning. *true or false* likewise: keys
without a property take nothing else, for all others everything but `true` is false.

A key that Zooid does not know gets a warning with the nearest known key. A key without effect gets a
warning that says why. A key that asks for protection that Zooid does not have stops the start. No
change takes effect before a restart.
";

/// The page `docs/configuration.md`.
pub fn render_markdown() -> String {
    let mut page = INTRODUCTION.to_owned();
    let mut section = "";
    for spec in KEYS {
        if spec.section != section {
            section = spec.section;
            let _ = write!(page, "\n## {section}\n\n");
            page.push_str("| key | property | type | default | what it is for | in Zooid |\n");
            page.push_str("|---|---|---|---|---|---|\n");
        }
        row(&mut page, spec);
    }
    page.push_str("\n## Names that do not work\n\n");
    page.push_str(
        "The manual of Apache ZooKeeper introduces some keys under names that its server does not \
         read. They have no\neffect in Zooid either; a warning names the key that works.\n\n",
    );
    page.push_str("| name | the key that works |\n|---|---|\n");
    for (manual, works) in MANUAL_NAMES {
        let _ = writeln!(page, "| `{manual}` | `{works}` |");
    }
    page.push_str("| `zookeeper.X` in the file | `X` |\n");
    page
}

fn row(page: &mut String, spec: &KeySpec) {
    let key = match spec.form {
        Form::CommandLine => String::new(),
        _ => code(&spec.names()),
    };
    let kind = match spec.kind {
        Kind::Path => "path".to_owned(),
        Kind::Text => "text".to_owned(),
        Kind::Host => "host".to_owned(),
        Kind::JavaClass => "class".to_owned(),
        Kind::List => "list".to_owned(),
        Kind::Int | Kind::DecimalInt | Kind::StrictInt | Kind::Long | Kind::DecimalLong => {
            "number".to_owned()
        }
        Kind::Double | Kind::StrictDouble => "fraction".to_owned(),
        Kind::Bool => "true or false".to_owned(),
        Kind::OnlyIf(word) => format!("`{word}` is on, else off"),
        Kind::Unless(word) => format!("`{word}` is off, else on"),
    };
    let kind = match spec.unit {
        "" => kind,
        unit => format!("{kind}; {unit}"),
    };
    let default = match spec.default {
        "" => String::new(),
        default => format!("`{default}`"),
    };
    let class = match spec.class {
        Class::Honoured => "honoured".to_owned(),
        Class::NoEffect(reason) => format!("no effect: {reason}"),
        Class::NotYet(area, Demand::Warn) => format!("not yet: {}", area.text()),
        Class::NotYet(area, Demand::Refuse) => {
            format!("not yet: {}; stops the start", area.text())
        }
    };
    let property = code(&spec.properties());
    let _ = writeln!(
        page,
        "| {key} | {property} | {kind} | {default} | {} | {class} |",
        spec.doc
    );
}

fn code(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}
