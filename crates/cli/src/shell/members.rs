//! `config` and `reconfig`: the members of the ensemble, shown and changed.

use zooid_client::Reconfig;
use zooid_config::{Member, Membership, properties};

use super::commands::{Outcome, exactly};
use super::words::Args;
use super::{Failure, Shell, render};

pub(super) async fn config(shell: &mut Shell, args: Args) -> Outcome {
    let [] = exactly(&args)?;
    let client = &shell.client;
    let (data, stat) = if args.has('w') {
        let (data, stat, watch) = client.get_config_watch().await?;
        shell.print_event_of(watch);
        (data, stat)
    } else {
        client.get_config().await?
    };
    if args.has('c') {
        let text = String::from_utf8_lossy(data.as_deref().unwrap_or_default());
        shell.out(&format!("{}\n", connect_string(&text)));
    } else {
        shell.out_data(data.as_deref().unwrap_or(b"null"));
    }
    if args.has('s') {
        shell.out(&render::stat(&stat));
    }
    Ok(())
}

pub(super) async fn reconfig(shell: &mut Shell, args: Args) -> Outcome {
    let [] = exactly(&args)?;
    let refuse = |text: &str| Err(Failure::Arguments(text.to_owned()));
    let (file, members) = (args.value('F'), args.value('M'));
    let (add, remove) = (args.value('A'), args.value('D'));
    let (whole, parts) = (
        file.is_some() || members.is_some(),
        add.is_some() || remove.is_some(),
    );
    if !whole && !parts {
        return refuse("expected -file, -members, -add or -remove");
    }
    let version = match args.value('v').map(|text| i64::from_str_radix(text, 16)) {
        Some(Err(_)) => return refuse("-v must be followed by a long (configuration version)"),
        version => version.and_then(Result::ok),
    };
    if whole && parts {
        return refuse(
            "Can't use -file or -members together with -add or -remove (mixing incremental and \
             non-incremental modes is not allowed)",
        );
    }
    if file.is_some() && members.is_some() {
        return refuse("Can't use -file and -members together (conflicting non-incremental modes)");
    }
    // As zkCli.sh, which the server hears in small letters.
    let lower = |text: Option<&str>| text.map(str::to_lowercase);
    let (joining, leaving) = (lower(add), lower(remove));
    let members = match file {
        Some(file) => Some(read_members(file)?),
        None => lower(members),
    };
    let change = Reconfig {
        joining: joining.as_deref(),
        leaving: leaving.as_deref(),
        members: members.as_deref(),
        version,
    };
    let (data, stat) = shell.client.reconfigure(&change).await?;
    shell.out("Committed new configuration:\n");
    shell.out_data(&data);
    if args.has('s') {
        shell.out(&render::stat(&stat));
    }
    Ok(())
}

/// Members from a dynamic configuration file.
fn read_members(file: &str) -> Result<String, Failure> {
    let wrong = |error: String| Failure::Arguments(format!("Error processing {file}: {error}"));
    let bytes = std::fs::read(file).map_err(|error| wrong(error.to_string()))?;
    let text = properties::latin1(&bytes);
    let members = Membership::parse(&text, true).map_err(|error| wrong(error.to_string()))?;
    Ok(members.to_string())
}

/// The version, and where clients reach the members (`ConfigUtils.getClientConfigStr`).
fn connect_string(text: &str) -> String {
    let (mut version, mut addresses) = (String::new(), Vec::new());
    for entry in properties::parse_text(text).unwrap_or_default() {
        let value = entry.value.trim();
        if entry.key == "version" {
            version = value.to_owned();
        } else if entry.key.starts_with("server.")
            && let Ok(member) = Member::parse(-1, value, true)
        {
            let client = member.client;
            addresses.extend(client.map(|client| format!("{}:{}", client.host, client.port)));
        }
    }
    format!("{version} {}", addresses.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_get_a_connect_string() {
        let text = "server.1=a:1:2:participant;b:3\nserver.2=a:1:2\nserver.3=a:1:2;4\nversion=1f";
        assert_eq!(connect_string(text), "1f b:3,0.0.0.0:4");
        assert_eq!(connect_string(""), " ");
    }
}
