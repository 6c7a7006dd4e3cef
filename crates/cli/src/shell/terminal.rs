//! The shell for a human: prompt, history, completion of commands and paths.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::history::DefaultHistory;
use rustyline::{Config, Context, Editor, ExternalPrinter, Helper};
use rustyline::{highlight::Highlighter, hint::Hinter, validate::Validator};
use tokio::runtime::{Handle, Runtime};
use zooid_client::Client;

use super::commands::COMMANDS;
use super::{Shell, render, words};

/// Longest wait for the children of a node while the Tab key is down.
const COMPLETION_WAIT: Duration = Duration::from_secs(1);

/// Asks for commands until the human leaves; gives the exit code.
pub(super) fn run(shell: &mut Shell, runtime: &Runtime) -> anyhow::Result<u8> {
    let config = Config::builder()
        .completion_type(rustyline::CompletionType::List)
        .auto_add_history(true)
        .build();
    let mut editor = Editor::<Completion, DefaultHistory>::with_config(config)?;
    if let Ok(mut printer) = editor.create_external_printer() {
        shell.printer = Arc::new(Mutex::new(move |text: String| {
            let _ = printer.print(text);
        }));
    }
    println!("Welcome to Zooid! `help` lists the commands, Tab completes, Ctrl-D leaves.");
    {
        let _inside = runtime.enter();
        shell.print_states();
    }
    let mut code = 0;
    while !shell.over {
        editor.set_helper(Some(Completion {
            client: shell.client.clone(),
            handle: runtime.handle().clone(),
        }));
        let prompt = format!(
            "[zk: {}({}) {}] ",
            shell.settings.server,
            render::prompt_state(shell.client.state()),
            shell.history.len()
        );
        match editor.readline(&prompt) {
            Ok(line) => {
                let words = words::split(&line);
                if !words.is_empty() {
                    shell.history.push(line);
                    code = shell.perform(runtime, &words);
                }
            }
            Err(ReadlineError::Interrupted) => {}
            Err(ReadlineError::Eof) => break,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(code)
}

/// Completes the first word to a command, words that start with a slash to a node.
struct Completion {
    client: Client,
    handle: Handle,
}

impl Completer for Completion {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        at: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        let typed = &line[..at];
        let start = typed
            .rfind(char::is_whitespace)
            .map_or(0, |blank| blank + 1);
        let word = &typed[start..];
        if word.starts_with('/') {
            return Ok((start, self.paths(word)));
        }
        let first = typed[..start].trim().is_empty();
        Ok((start, if first { commands(word) } else { Vec::new() }))
    }
}

impl Completion {
    /// Nothing when the server does not answer: no key may hang.
    fn paths(&self, word: &str) -> Vec<String> {
        let (parent, start) = word.split_at(word.rfind('/').map_or(0, |slash| slash + 1));
        let node = if parent == "/" {
            parent
        } else {
            parent.trim_end_matches('/')
        };
        let children = self.client.get_children(node);
        let answer = self
            .handle
            .block_on(async { tokio::time::timeout(COMPLETION_WAIT, children).await });
        let Ok(Ok((mut names, _))) = answer else {
            return Vec::new();
        };
        names.retain(|name| name.starts_with(start));
        names.sort();
        names.iter().map(|name| format!("{parent}{name}")).collect()
    }
}

fn commands(start: &str) -> Vec<String> {
    COMMANDS
        .iter()
        .filter(|command| command.name.starts_with(start))
        .map(|command| format!("{} ", command.name))
        .collect()
}

impl Helper for Completion {}
impl Highlighter for Completion {}
impl Validator for Completion {}
impl Hinter for Completion {
    type Hint = String;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_complete() {
        assert_eq!(commands("getA"), ["getAcl ", "getAllChildrenNumber "]);
        assert_eq!(commands("zzz"), Vec::<String>::new());
    }
}
