//! `java.env` and `zookeeper-env.sh` beside `zoo.cfg`: shell scripts that the start scripts of Apache
//! ZooKeeper take in (`zkEnv.sh`). They are run as those run them, for the JVM flags that they set.

use std::path::Path;
use std::process::Command;

/// The scripts, in the order in which they are taken in.
const SCRIPTS: [&str; 2] = ["zookeeper-env.sh", "java.env"];

/// Variables that matter here.
const VARIABLES: [&str; 2] = ["SERVER_JVMFLAGS", "JVMFLAGS"];

/// Adds to `env` what the scripts in the folder of `config` set. A script that fails, or a machine
/// without a shell, leaves a line for the operator.
pub(crate) fn add(config: &Path, env: &mut Vec<(String, String)>) {
    let folder = match config.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    for name in SCRIPTS {
        let script = folder.join(name);
        if !script.is_file() {
            continue;
        }
        match variables(&script, env) {
            Ok(set) => env.extend(set),
            Err(why) => eprintln!("zooid: {} has no effect: {why}", script.display()),
        }
    }
}

fn variables(script: &Path, env: &[(String, String)]) -> Result<Vec<(String, String)>, String> {
    let script = script.canonicalize().map_err(|error| error.to_string())?;
    let print = VARIABLES
        .map(|name| format!("printf '%s\\0' \"${name}\""))
        .join("; ");
    let output = Command::new("sh")
        .arg("-c")
        .arg(format!(". \"$0\" >&2 && {{ {print}; }}"))
        .arg(&script)
        .envs(env.iter().map(|(name, value)| (name, value)))
        .output()
        .map_err(|error| format!("no shell: {error}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned());
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let values = text.split('\0').map(str::to_owned);
    Ok(VARIABLES
        .map(str::to_owned)
        .into_iter()
        .zip(values)
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_beside_the_configuration_add_to_the_flags() {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("zoo.cfg");
        std::fs::write(
            folder.path().join("java.env"),
            "export SERVER_JVMFLAGS=\"-Da=1 $SERVER_JVMFLAGS\"\necho noise\n",
        )
        .unwrap();
        let mut env = vec![("SERVER_JVMFLAGS".to_owned(), "-Db=2".to_owned())];
        add(&config, &mut env);
        let last = env.iter().rev().find(|(name, _)| name == "SERVER_JVMFLAGS");
        assert_eq!(last.map(|(_, value)| value.as_str()), Some("-Da=1 -Db=2"));
    }

    #[test]
    fn a_script_that_fails_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("java.env"), "exit 3\n").unwrap();
        let mut env = Vec::new();
        add(&folder.path().join("zoo.cfg"), &mut env);
        assert!(env.is_empty());
    }
}
