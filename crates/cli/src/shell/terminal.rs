//! The shell for a human: prompt, history, completion of commands and paths.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::{CmdKind, Highlighter};
use rustyline::history::DefaultHistory;
use rustyline::{Config, Context, Editor, Helper, hint::Hinter, validate::Validator};
use tokio::runtime::{Handle, Runtime};
use tokio::signal::unix::{SignalKind, signal};
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
    let mut editor = Editor::<Assistant, DefaultHistory>::with_config(config)?;
    let screen = Arc::new(Mutex::new(Screen::default()));
    shell.printer = {
        let screen = screen.clone();
        Arc::new(Mutex::new(move |text: String| lock(&screen).print(&text)))
    };
    println!("Welcome to Zooid! `help` lists the commands, Tab completes, Ctrl-D leaves.");
    {
        let _inside = runtime.enter();
        shell.interrupts = Some(signal(SignalKind::interrupt())?);
        shell.print_states();
    }
    let mut code = 0;
    while !shell.over {
        editor.set_helper(Some(Assistant {
            client: shell.client.clone(),
            handle: runtime.handle().clone(),
            screen: screen.clone(),
        }));
        let prompt = format!(
            "[zk: {}({}) {}] ",
            shell.settings.server,
            render::prompt_state(shell.client.state()),
            shell.history.len()
        );
        lock(&screen).ask(&prompt);
        let typed = editor.readline(&prompt);
        lock(&screen).prompt = None;
        match typed {
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

/// What stands in the last line, so that events can be printed above it. (The editor has a printer
/// of its own, but with it version 17 sits on pasted text until the next key.)
#[derive(Debug, Default)]
struct Screen {
    /// `None` while a command runs.
    prompt: Option<String>,
    line: String,
    /// Characters behind the cursor.
    behind: usize,
}

impl Screen {
    fn ask(&mut self, prompt: &str) {
        // Without cursor control there is nothing to draw again.
        let plain = std::env::var("TERM").is_ok_and(|term| term == "dumb");
        self.prompt = (!plain).then(|| prompt.to_owned());
        self.line.clear();
        self.behind = 0;
    }

    fn print(&self, text: &str) {
        let text = match &self.prompt {
            None => text.to_owned(),
            Some(prompt) => self.above(prompt, text),
        };
        let mut stdout = io::stdout().lock();
        let _ = stdout
            .write_all(text.as_bytes())
            .and_then(|()| stdout.flush());
    }

    /// The text in place of the last line, which follows again. The terminal is in raw mode: a new
    /// line does not begin at its start.
    fn above(&self, prompt: &str, text: &str) -> String {
        let text = text.replace('\n', "\r\n");
        let back = match self.behind {
            0 => String::new(),
            n => format!("\x1b[{n}D"),
        };
        format!("\r\x1b[J{text}{prompt}{}{back}", self.line)
    }
}

fn lock(screen: &Mutex<Screen>) -> MutexGuard<'_, Screen> {
    screen.lock().unwrap_or_else(|broken| broken.into_inner())
}

/// Completes the first word to a command, words that start with a slash to a node.
struct Assistant {
    client: Client,
    handle: Handle,
    screen: Arc<Mutex<Screen>>,
}

impl Completer for Assistant {
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

impl Assistant {
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

impl Helper for Assistant {}
impl Highlighter for Assistant {
    /// Asked after each key, so it sees each state of the line; there is nothing to highlight.
    fn highlight_char(&self, line: &str, at: usize, _: CmdKind) -> bool {
        let mut screen = lock(&self.screen);
        line.clone_into(&mut screen.line);
        screen.behind = line[at..].chars().count();
        false
    }
}
impl Validator for Assistant {}
impl Hinter for Assistant {
    type Hint = String;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_stand_above_what_is_typed() {
        let mut screen = Screen {
            prompt: Some("> ".into()),
            line: "get /ü".into(),
            behind: 0,
        };
        assert_eq!(screen.above("> ", "a\nb\n"), "\r\x1b[Ja\r\nb\r\n> get /ü");
        screen.behind = 2;
        assert_eq!(screen.above("> ", ""), "\r\x1b[J> get /ü\x1b[2D");
    }

    #[test]
    fn commands_complete() {
        assert_eq!(commands("getA"), ["getAcl ", "getAllChildrenNumber "]);
        assert_eq!(commands("zzz"), Vec::<String>::new());
    }
}
