//! The commands: one line each in [`COMMANDS`], from which help and completion derive.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use tokio::task::JoinSet;
use zooid_client::{AddWatchMode, Client, CreateMode, Data, Error, EventKind, acl};

use super::members::{config, reconfig};
use super::words::Args;
use super::{Failure, Mode, Shell, acls, render};

/// Columns for a command and its arguments in the help.
const HEAD: usize = 32;
/// Requests of one command that may be under way at once.
const WINDOW: usize = 256;

pub(super) type Outcome = Result<(), Failure>;
type Running<'a> = Pin<Box<dyn Future<Output = Outcome> + 'a>>;

/// One command.
pub(crate) struct Command {
    /// What is typed.
    pub(crate) name: &'static str,
    /// What follows the name.
    pub(crate) usage: &'static str,
    /// What it does.
    pub(crate) about: &'static str,
    flags: &'static str,
    values: &'static str,
    run: for<'a> fn(&'a mut Shell, Args) -> Running<'a>,
}

macro_rules! commands {
    ($($name:literal $usage:literal [$flags:literal $values:literal] $run:ident: $about:literal;)*) => {
        /// All commands, by name.
        pub(crate) const COMMANDS: &[Command] = &[$(Command {
            name: $name,
            usage: $usage,
            about: $about,
            flags: $flags,
            values: $values,
            run: |shell, args| Box::pin($run(shell, args)),
        }),*];
    };
}

commands! {
    "addWatch" "[-m PERSISTENT|PERSISTENT_RECURSIVE] path" ["" "m"] watch:
        "the same as watch";
    "addauth" "scheme auth" ["" ""] addauth:
        "adds an identity, such as digest user:password";
    "config" "[-c] [-w] [-s]" ["cws" ""] config:
        "shows the members of the ensemble (-c where clients connect)";
    "create" "[-s] [-e] [-c] [-t ttl] path [data] [acl]" ["sec" "t"] create:
        "creates a node (-s sequential, -e ephemeral, -c container, -t ttl in ms)";
    "delete" "[-v version] path" ["" "v"] delete:
        "deletes a node without children";
    "deleteall" "path [-b batch size]" ["" "b"] deleteall:
        "deletes a node and all below it";
    "get" "[-s] [-w] path" ["sw" ""] get:
        "shows the data of a node (-s with its state, -w watches it)";
    "getAcl" "[-s] path" ["s" ""] get_acl:
        "shows the access control list of a node";
    "getAllChildrenNumber" "path" ["" ""] all_children_number:
        "counts all nodes below a node";
    "getEphemerals" "[path]" ["" ""] get_ephemerals:
        "lists the ephemeral nodes of this session";
    "help" "" ["" ""] help:
        "shows this";
    "history" "" ["" ""] history:
        "shows the last commands";
    "ls" "[-s] [-w] [-R] path" ["swR" ""] ls:
        "lists children (-R all below, -s with the state, -w watches the node)";
    "quit" "" ["" ""] quit:
        "ends the session";
    "reconfig" "[-s] [-v version] [-file path | -members LINES] | [-add LINES] [-remove IDS]" ["s" "vFMAD"] reconfig:
        "changes the members; LINES are server.N=host:port:port;port,...";
    "set" "path data [-s] [-v version]" ["s" "v"] set:
        "replaces the data of a node";
    "setAcl" "[-s] [-v version] [-R] path acl" ["sR" "v"] set_acl:
        "replaces the ACL (-R of all below, too); acl is scheme:id:perms,...";
    "stat" "[-w] path" ["w" ""] stat:
        "shows the state of a node";
    "sync" "path" ["" ""] sync:
        "waits until this server has all that the leader has";
    "version" "" ["" ""] version:
        "shows the version of this program";
    "watch" "[-m PERSISTENT|PERSISTENT_RECURSIVE] path" ["" "m"] watch:
        "prints what happens to a node and to all below it";
    "whoami" "" ["" ""] whoami:
        "shows the identities that the server knows";
}

/// Runs one command of a line or of the command line.
pub(crate) async fn execute(shell: &mut Shell, words: &[String]) -> Outcome {
    let Some((name, rest)) = words.split_first() else {
        return Ok(());
    };
    let name = match name.as_str() {
        "exit" => "quit",
        "?" => "help",
        name => name,
    };
    let command = COMMANDS
        .iter()
        .find(|command| command.name == name)
        .ok_or_else(|| Failure::NoCommand(name.to_owned()))?;
    let usage = |reason: String| Failure::Usage {
        line: format!("{} {}", command.name, command.usage),
        reason,
    };
    let args = Args::parse(rest, command.flags, command.values).map_err(usage)?;
    match (command.run)(shell, args).await {
        Err(Failure::Arguments(reason)) => Err(usage(reason)),
        outcome => outcome,
    }
}

/// The text of `help`.
pub(crate) fn help_text() -> String {
    let mut text = String::from("Commands:\n");
    for command in COMMANDS {
        let head = format!("{} {}", command.name, command.usage);
        let about = command.about;
        // A long head gets a line of its own.
        if head.len() > HEAD {
            text += &format!("  {head}\n");
            text += &format!("  {:HEAD$} {about}\n", "");
        } else {
            text += &format!("  {head:HEAD$} {about}\n");
        }
    }
    text
}

async fn ls(shell: &mut Shell, args: Args) -> Outcome {
    let [path] = exactly(&args)?;
    let client = &shell.client;
    if args.has('R') {
        let tree = subtree(client, path).await?;
        let mut text = format!("{path}\n");
        list_below(&tree, path, &mut text);
        shell.out(&text);
        return Ok(());
    }
    let (names, stat) = if args.has('w') {
        let (names, stat, watch) = client.get_children_watch(path).await?;
        shell.print_event_of(watch);
        (names, stat)
    } else {
        client.get_children(path).await?
    };
    shell.out(&render::list(names));
    if args.has('s') {
        shell.out(&render::stat(&stat));
    }
    Ok(())
}

/// zkCli.sh shows all children of a node before it goes down into the first.
fn list_below(tree: &BTreeMap<String, Vec<String>>, path: &str, text: &mut String) {
    let mut left = vec![path];
    while let Some(path) = left.pop() {
        let children = tree.get(path).map_or(&[][..], Vec::as_slice);
        for child in children {
            *text += child;
            text.push('\n');
        }
        left.extend(children.iter().rev().map(String::as_str));
    }
}

async fn get(shell: &mut Shell, args: Args) -> Outcome {
    let [path] = exactly(&args)?;
    let client = &shell.client;
    let (data, stat) = if args.has('w') {
        let (data, stat, watch) = client.get_watch(path).await?;
        shell.print_event_of(watch);
        (data, stat)
    } else {
        client.get(path).await?
    };
    shell.out_data(data.as_deref().unwrap_or(b"null"));
    if args.has('s') {
        shell.out(&render::stat(&stat));
    }
    Ok(())
}

async fn stat(shell: &mut Shell, args: Args) -> Outcome {
    let [path] = exactly(&args)?;
    let client = &shell.client;
    let found = if args.has('w') {
        let (found, watch) = client.exists_watch(path).await?;
        shell.print_event_of(watch);
        found
    } else {
        client.exists(path).await?
    };
    let Some(stat) = found else {
        return Err(Failure::Message(format!("Node does not exist: {path}")));
    };
    shell.out(&render::stat(&stat));
    Ok(())
}

async fn set(shell: &mut Shell, args: Args) -> Outcome {
    let [path, data] = exactly(&args)?;
    let version = args.number('v').map_err(Failure::Arguments)?;
    let stat = shell.client.set(path, data, version).await?;
    if args.has('s') {
        shell.out(&render::stat(&stat));
    }
    Ok(())
}

async fn create(shell: &mut Shell, args: Args) -> Outcome {
    let plain: Vec<&str> = args.plain.iter().map(String::as_str).collect();
    let (path, data, list) = match plain[..] {
        [path] => (path, Data::NULL, None),
        [path, data] => (path, data.into(), None),
        [path, data, list] => (path, data.into(), Some(list)),
        _ => return Err(wrong_count()),
    };
    let refuse = |text: &str| Err(Failure::Message(text.to_owned()));
    let ttl: Option<u64> = match args.number('t') {
        Ok(ttl) => ttl,
        Err(_) => return refuse("-t argument must be a long value"),
    };
    let ttl = ttl.map(Duration::from_millis);
    let mode = match (args.has('c'), args.has('e'), args.has('s'), ttl) {
        (true, true, ..) | (true, _, true, _) => {
            return refuse(
                "-c cannot be combined with -s or -e. Containers cannot be ephemeral or sequential.",
            );
        }
        (true, _, _, Some(_)) => return refuse("TTLs cannot be used with Container znodes"),
        (_, true, _, Some(_)) => return refuse("TTLs cannot be used with Ephemeral znodes"),
        (true, ..) => CreateMode::Container,
        (_, _, false, Some(ttl)) => CreateMode::Ttl(ttl),
        (_, _, true, Some(ttl)) => CreateMode::SequentialTtl(ttl),
        (_, true, true, _) => CreateMode::EphemeralSequential,
        (_, true, false, _) => CreateMode::Ephemeral,
        (_, false, true, _) => CreateMode::PersistentSequential,
        (_, false, false, _) => CreateMode::Persistent,
    };
    let list = match list {
        None => acl::open().to_vec(),
        Some(text) => acls::parse(text).map_err(Failure::Message)?,
    };
    match shell.client.create(path, data, &list, mode).await {
        Ok(created) => {
            // On the error output, as zkCli.sh does.
            shell.note(&format!("Created {created}"));
            Ok(())
        }
        Err(error)
            if error.code() == Some(zooid_client::ErrorCode::Unimplemented) && ttl.is_some() =>
        {
            Err(Failure::Message(format!(
                "KeeperErrorCode = Unimplemented for {path}: nodes with a time to live are off, the \
                 server needs zookeeper.extendedTypesEnabled=true"
            )))
        }
        Err(error) => Err(error.into()),
    }
}

async fn delete(shell: &mut Shell, args: Args) -> Outcome {
    let path = match &args.plain[..] {
        [path] => path,
        // The form of old versions; zkCli.sh ignores its version too.
        [path, _] => {
            shell.note(
                "'delete path [version]' has been deprecated. Please use 'delete [-v version] \
                 path' instead.",
            );
            path
        }
        _ => return Err(wrong_count()),
    };
    let version = args.number('v').map_err(Failure::Arguments)?;
    Ok(shell.client.delete(path, version).await?)
}

async fn deleteall(shell: &mut Shell, args: Args) -> Outcome {
    let [path] = exactly(&args)?;
    let window = match args.number::<usize>('b').map_err(Failure::Arguments)? {
        Some(0) => return Err(Failure::Message("Batch size must be greater than 0".into())),
        size => size.unwrap_or(WINDOW),
    };
    let tree = subtree(&shell.client, path).await?;
    let mut paths: Vec<&String> = tree.keys().collect();
    // Children before their parents. Within a depth the order does not matter.
    let depth = |path: &str| path.matches('/').count() - usize::from(path == "/");
    paths.sort_by_key(|path| std::cmp::Reverse(depth(path)));
    let mut failed = false;
    for level in paths.chunk_by(|a, b| depth(a) == depth(b)) {
        for chunk in level.chunks(window) {
            let mut tasks = JoinSet::new();
            for path in chunk {
                let (client, path) = (shell.client.clone(), (*path).clone());
                tasks.spawn(async move { client.delete(&path, None).await });
            }
            while let Some(result) = tasks.join_next().await {
                match result.expect("a delete does not panic") {
                    Ok(()) => {}
                    // Somebody else was quicker.
                    Err(error) if error.is_no_node() => {}
                    Err(error @ Error::Lost { .. }) => return Err(error.into()),
                    Err(_) => failed = true,
                }
            }
        }
    }
    if failed {
        let text = "Failed to delete some node(s) in the subtree!";
        return Err(Failure::Message(text.to_owned()));
    }
    Ok(())
}

async fn get_acl(shell: &mut Shell, args: Args) -> Outcome {
    let [path] = exactly(&args)?;
    let (list, stat) = shell.client.get_acl(path).await?;
    shell.out(&acls::show(&list));
    if args.has('s') {
        shell.out(&render::stat(&stat));
    }
    Ok(())
}

async fn set_acl(shell: &mut Shell, args: Args) -> Outcome {
    let [path, text] = exactly(&args)?;
    let version = args.number('v').map_err(Failure::Arguments)?;
    let list = acls::parse(text).map_err(Failure::Message)?;
    let paths = if args.has('R') {
        subtree(&shell.client, path).await?.into_keys().collect()
    } else {
        vec![path.to_owned()]
    };
    for each in paths {
        match shell.client.set_acl(&each, &list, version).await {
            Ok(stat) if args.has('s') => shell.out(&render::stat(&stat)),
            Ok(_) => {}
            // Deleted meanwhile.
            Err(error) if error.is_no_node() && each != path => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

async fn addauth(shell: &mut Shell, args: Args) -> Outcome {
    let (scheme, auth) = match &args.plain[..] {
        [scheme] => (scheme, ""),
        [scheme, auth] => (scheme, auth.as_str()),
        _ => return Err(wrong_count()),
    };
    let result = shell.client.add_auth(scheme, auth.as_bytes()).await;
    result.map_err(|error| match error {
        Error::Refused { .. } => Failure::Message(format!(
            "The server refused the authentication with scheme {scheme}; the session is over."
        )),
        other => other.into(),
    })
}

async fn sync(shell: &mut Shell, args: Args) -> Outcome {
    let [path] = exactly(&args)?;
    shell.client.sync(path).await?;
    shell.out("Sync is OK\n");
    Ok(())
}

async fn whoami(shell: &mut Shell, args: Args) -> Outcome {
    let [] = exactly(&args)?;
    let mut text = String::from("Auth scheme: User\n");
    for identity in shell.client.who_am_i().await? {
        text += &format!("{}: {}\n", identity.scheme, identity.user);
    }
    shell.out(&text);
    Ok(())
}

async fn get_ephemerals(shell: &mut Shell, args: Args) -> Outcome {
    let path = match &args.plain[..] {
        [] => "/",
        [path] => path,
        _ => return Err(wrong_count()),
    };
    let paths = shell.client.get_ephemerals(path).await?;
    shell.out(&render::list(paths));
    Ok(())
}

async fn all_children_number(shell: &mut Shell, args: Args) -> Outcome {
    let [path] = exactly(&args)?;
    let total = shell.client.all_children_number(path).await?;
    shell.out(&format!("{total}\n"));
    Ok(())
}

async fn watch(shell: &mut Shell, args: Args) -> Outcome {
    let [path] = exactly(&args)?;
    let mode = match args.value('m').map(str::to_uppercase).as_deref() {
        None | Some("PERSISTENT_RECURSIVE") => AddWatchMode::PersistentRecursive,
        Some("PERSISTENT") => AddWatchMode::Persistent,
        Some(other) => return Err(Failure::Arguments(format!("unknown mode {other}"))),
    };
    let mut events = shell.client.add_watch(path, mode).await?;
    if shell.mode != Mode::OneCommand {
        shell.print_events_of(events);
        return Ok(());
    }
    // The only purpose of the program now: print until somebody ends it.
    loop {
        let event = tokio::select! {
            event = events.next() => event,
            _ = tokio::signal::ctrl_c() => return Ok(()),
        };
        match event {
            None => return Ok(()),
            Some(Err(error)) => return Err(error.into()),
            Some(Ok(event)) => {
                shell.out(&format!("{}\n", render::event(&event)));
                shell.flush()?;
                if event.kind == EventKind::PersistentWatchRemoved {
                    return Ok(());
                }
            }
        }
    }
}

async fn version(shell: &mut Shell, args: Args) -> Outcome {
    let [] = exactly(&args)?;
    shell.out(concat!(
        "Zooid CLI version: ",
        env!("CARGO_PKG_VERSION"),
        "\n"
    ));
    Ok(())
}

async fn history(shell: &mut Shell, args: Args) -> Outcome {
    let [] = exactly(&args)?;
    let first = shell.history.len().saturating_sub(11);
    let mut text = String::new();
    for (number, line) in shell.history.iter().enumerate().skip(first) {
        text += &format!("{number} - {line}\n");
    }
    shell.out(&text);
    Ok(())
}

async fn help(shell: &mut Shell, _: Args) -> Outcome {
    shell.out(&help_text());
    Ok(())
}

async fn quit(shell: &mut Shell, args: Args) -> Outcome {
    let [] = exactly(&args)?;
    shell.over = true;
    Ok(())
}

/// The arguments, which must be that many.
pub(super) fn exactly<const N: usize>(args: &Args) -> Result<[&str; N], Failure> {
    let plain: Vec<&str> = args.plain.iter().map(String::as_str).collect();
    plain.try_into().map_err(|_| wrong_count())
}

fn wrong_count() -> Failure {
    Failure::Arguments("wrong number of arguments".into())
}

/// The children of a node and of all below it, as sorted full paths. Nodes that go away meanwhile
/// are left out.
async fn subtree(client: &Client, path: &str) -> Result<BTreeMap<String, Vec<String>>, Error> {
    let mut tree = BTreeMap::new();
    let mut left = vec![path.to_owned()];
    let mut tasks = JoinSet::new();
    loop {
        while tasks.len() < WINDOW
            && let Some(next) = left.pop()
        {
            let client = client.clone();
            tasks.spawn(async move { (client.get_children(&next).await, next) });
        }
        let Some(result) = tasks.join_next().await else {
            return Ok(tree);
        };
        let (result, parent) = result.expect("a read does not panic");
        let mut names = match result {
            Ok((names, _)) => names,
            Err(error) if error.is_no_node() && parent != path => continue,
            Err(error) => return Err(error),
        };
        names.sort();
        let prefix = if parent == "/" { "" } else { &parent };
        let children: Vec<_> = names
            .iter()
            .map(|name| format!("{prefix}/{name}"))
            .collect();
        left.extend(children.iter().cloned());
        tree.insert(parent, children);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_sorted_and_helped() {
        let names: Vec<_> = COMMANDS.iter().map(|command| command.name).collect();
        let mut sorted = names.clone();
        sorted.sort();
        assert_eq!(names, sorted);
        let help = help_text();
        for name in names {
            assert!(help.contains(&format!("\n  {name} ")), "{name}");
        }
        assert!(help.lines().all(|line| line.len() <= 110), "{help}");
    }

    #[test]
    fn trees_are_listed_in_the_order_of_zkcli() {
        let mut tree = BTreeMap::new();
        for (path, children) in [
            ("/d", vec!["/d/a", "/d/b"]),
            ("/d/a", vec!["/d/a/y", "/d/a/z"]),
            ("/d/a/y", vec!["/d/a/y/k"]),
            ("/d/b", vec!["/d/b/q"]),
        ] {
            let children = children.into_iter().map(String::from).collect();
            tree.insert(path.to_owned(), children);
        }
        let mut text = String::new();
        list_below(&tree, "/d", &mut text);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(
            lines,
            ["/d/a", "/d/b", "/d/a/y", "/d/a/z", "/d/a/y/k", "/d/b/q"]
        );
    }
}
