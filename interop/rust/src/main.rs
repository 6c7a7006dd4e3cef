//! Every call of the crate `zookeeper-client` against a server; names of checks as arguments run
//! only those.

mod harness;
mod line;
mod locks;
mod nodes;
mod sessions;
mod watches;

use harness::{Check, Env, run_all};

/// Names a check after its function, and makes its future one type.
macro_rules! checks {
    ($($module:ident :: $name:ident),* $(,)?) => {
        [$(Check {
            name: stringify!($name),
            run: |env: Env| Box::pin($module::$name(env)),
        }),*]
    };
}

#[tokio::main]
async fn main() {
    let checks = checks![
        nodes::connect,
        nodes::create_get_set_delete,
        nodes::errors,
        nodes::create_modes,
        nodes::containers_and_ttl,
        nodes::children_and_counts,
        nodes::large_data,
        nodes::requests_answer_in_order,
        nodes::chroot,
        nodes::sync,
        nodes::acls,
        nodes::auth_fails,
        nodes::multi_commits_as_one,
        nodes::multi_fails_as_one,
        nodes::multi_reads,
        nodes::members_of_a_standalone_server,
        watches::oneshot,
        watches::oneshot_of_many_clients,
        watches::persistent,
        watches::recursive,
        watches::dropped_watchers_leave_the_server,
        watches::watches_of_a_chroot,
        watches::watches_over_a_cut_line,
        locks::lock_contested,
        locks::lock_kinds,
        locks::lock_guards_writes,
        locks::lock_of_an_ended_session,
        sessions::dropped_client_ends_its_session,
        sessions::detached_session_is_taken_up_again,
        sessions::session_expires,
        sessions::killed_server_comes_back,
    ];
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    std::process::exit(run_all(&checks, &wanted).await);
}
