//! `zooid cli`: a small shell in the manner of zkCli.sh.
//!
//! - [`commands`]: the commands, one line each
//! - `members`: those about the members of the ensemble
//! - `words`: lines and options
//! - `render`: how states, lists, events and errors read
//! - `terminal`: prompt, history and completion
//!
//! With a command on the command line, only data goes to the standard output, so that scripts can
//! use it; what zkCli.sh says there about the connection is left out.

mod acls;
mod commands;
mod members;
mod render;
mod terminal;
mod words;

use std::io::{self, BufRead, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Context;
use tokio::runtime::Runtime;
use tokio::signal::unix::Signal;
use zooid_client::{Client, Error, Options, SessionState, Watch, WatchStream};

/// Arguments of `zooid cli`, in the forms of zkCli.sh.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Options, before the command:
  -server HOST:PORT[,HOST:PORT...][/CHROOT]  where to connect (default localhost:2181)
  -timeout MS                                session timeout (default 30000)
  -r                                         a server that only reads will do
  -waitforconnection                         wait for a server up to the timeout

Without a command, commands are read from the terminal or, one by line, from a pipe;
`help` lists them. With one, the exit code is 0, 1 when it fails, 127 when it is unknown.

Examples:
  zooid cli ls /
  zooid cli -server zk1:2181 get /app/config
  zooid cli watch /app")]
pub(crate) struct ShellArgs {
    /// Options as zkCli.sh takes them, then a command with its arguments
    #[arg(
        value_name = "-OPTIONS... COMMAND",
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    words: Vec<String>,
}

/// Runs the shell until its command or its input ends.
///
/// # Errors
/// Only when the process cannot do what any process can; what commands fail with is printed.
pub(crate) fn run(args: ShellArgs) -> anyhow::Result<ExitCode> {
    let settings = match Settings::parse(args.words) {
        Ok(settings) => settings,
        Err(message) => {
            complain(&format!("{message}\n`zooid cli --help` shows the options"));
            return Ok(ExitCode::from(2));
        }
    };
    // One thread keeps the session alive while this one waits for input.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let mode = match (settings.command.is_empty(), io::stdin().is_terminal()) {
        (false, _) => Mode::OneCommand,
        (true, true) => Mode::Terminal,
        (true, false) => Mode::Lines,
    };
    if mode == Mode::OneCommand && matches!(settings.command[0].as_str(), "help" | "version") {
        // Needs no server.
        print_offline(&settings.command[0]);
        return Ok(ExitCode::SUCCESS);
    }
    if mode == Mode::Terminal {
        println!("Connecting to {}", settings.server);
    }
    let mut shell = match runtime.block_on(Shell::new(settings, mode)) {
        Ok(shell) => shell,
        Err(error) => {
            complain(&render::error(&error));
            return Ok(ExitCode::from(1));
        }
    };
    let code = match mode {
        Mode::OneCommand => {
            let command = std::mem::take(&mut shell.settings.command);
            shell.perform(&runtime, &command)
        }
        Mode::Lines => lines(&mut shell, &runtime)?,
        Mode::Terminal => terminal::run(&mut shell, &runtime)?,
    };
    runtime.block_on(async {
        // A server that is gone must not keep the shell: the session then times out there.
        let _ = tokio::time::timeout(Duration::from_secs(2), shell.client.close()).await;
    });
    Ok(ExitCode::from(code))
}

fn print_offline(command: &str) {
    let text = match command {
        "help" => commands::help_text(),
        _ => concat!("Zooid CLI version: ", env!("CARGO_PKG_VERSION"), "\n").to_owned(),
    };
    let _ = io::stdout().write_all(text.as_bytes());
}

/// What the options say.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Settings {
    server: String,
    timeout: Duration,
    read_only: bool,
    wait: bool,
    command: Vec<String>,
}

impl Settings {
    fn parse(words: Vec<String>) -> Result<Settings, String> {
        let mut settings = Settings {
            server: "localhost:2181".to_owned(),
            timeout: Duration::from_secs(30),
            read_only: false,
            wait: false,
            command: Vec::new(),
        };
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or(format!("option {word} needs a value"));
            // Two dashes are what other programs taught the fingers.
            match word
                .strip_prefix('-')
                .unwrap_or(&word)
                .trim_start_matches('-')
            {
                "server" if word.starts_with('-') => settings.server = value()?,
                "timeout" if word.starts_with('-') => {
                    let text = value()?;
                    let ms = text.parse().ok().filter(|ms| *ms > 0);
                    let ms = ms.ok_or(format!("option {word}: {text} is not a time in ms"))?;
                    settings.timeout = Duration::from_millis(ms);
                }
                "r" if word.starts_with('-') => settings.read_only = true,
                "waitforconnection" if word.starts_with('-') => settings.wait = true,
                _ if word.starts_with('-') => return Err(format!("unknown option {word}")),
                _ => {
                    settings.command = std::iter::once(word).chain(words).collect();
                    break;
                }
            }
        }
        Ok(settings)
    }

    async fn connect(&self) -> Result<Client, Error> {
        let options = Options {
            session_timeout: self.timeout,
            patience: if self.wait {
                self.timeout
            } else {
                Duration::ZERO
            },
            read_only: self.read_only,
            ..Options::default()
        };
        Client::connect(&self.server, options).await
    }
}

/// Where commands come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// From the command line.
    OneCommand,
    /// From a pipe or file.
    Lines,
    /// From a human.
    Terminal,
}

/// Why a command did not do what it was asked.
#[derive(Debug)]
enum Failure {
    /// The server, or the client before it asked.
    Client(Error),
    /// Another reason, as a sentence.
    Message(String),
    /// Arguments that the command does not take; becomes `Usage`.
    Arguments(String),
    /// The command takes other arguments.
    Usage { line: String, reason: String },
    /// There is no such command.
    NoCommand(String),
    /// Nobody reads the output.
    Output(io::Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Client(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Failure::Output(error)
    }
}

impl Failure {
    fn text(&self) -> String {
        match self {
            Failure::Client(error) => render::error(error),
            Failure::Message(text) | Failure::Arguments(text) => text.clone(),
            Failure::Usage { line, reason } => format!("{reason}\nusage: {line}"),
            Failure::NoCommand(name) => {
                format!("Command not found: {name} (`help` lists the commands)")
            }
            Failure::Output(error) => format!("cannot write the output: {error}"),
        }
    }

    fn code(&self) -> u8 {
        match self {
            Failure::NoCommand(_) => 127,
            _ => 1,
        }
    }
}

/// How background events reach the terminal without tearing the line that is being typed.
type Printer = Arc<Mutex<dyn FnMut(String) + Send>>;

/// One session with a server and those who watch it.
struct Shell {
    settings: Settings,
    client: Client,
    mode: Mode,
    printer: Printer,
    output: Vec<u8>,
    history: Vec<String>,
    /// On a terminal: Ctrl-C leaves a command. Listened to from the start, so that none is missed
    /// and none ends the shell.
    interrupts: Option<Signal>,
    over: bool,
}

impl Shell {
    async fn new(settings: Settings, mode: Mode) -> Result<Shell, Error> {
        let client = settings.connect().await?;
        Ok(Shell {
            settings,
            client,
            mode,
            printer: Arc::new(Mutex::new(|text: String| {
                let mut stdout = io::stdout().lock();
                let _ = stdout
                    .write_all(text.as_bytes())
                    .and_then(|()| stdout.flush());
            })),
            output: Vec::new(),
            history: Vec::new(),
            interrupts: None,
            over: false,
        })
    }

    /// Runs one command, shows what comes of it, gives the exit code.
    fn perform(&mut self, runtime: &Runtime, words: &[String]) -> u8 {
        let outcome = runtime.block_on(self.execute(words));
        let outcome = outcome.and_then(|()| self.flush());
        match outcome {
            Ok(()) => 0,
            // The reader had enough, as `head` does.
            Err(Failure::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => 1,
            Err(failure) => {
                let _ = self.flush();
                complain(&failure.text());
                failure.code()
            }
        }
    }

    async fn execute(&mut self, words: &[String]) -> Result<(), Failure> {
        let Some(mut interrupts) = self.interrupts.take() else {
            return self.execute_connected(words).await;
        };
        let outcome = tokio::select! {
            outcome = self.execute_connected(words) => outcome,
            _ = interrupts.recv() => Err(Failure::Message("interrupted".into())),
        };
        self.interrupts = Some(interrupts);
        outcome
    }

    async fn execute_connected(&mut self, words: &[String]) -> Result<(), Failure> {
        if self.client.state().is_final() {
            self.note("The session is over; connecting again (identities must be added again).");
            self.client = self.settings.connect().await?;
            self.print_states();
        }
        commands::execute(self, words).await
    }

    /// Keeps text for the standard output until the command is done.
    fn out(&mut self, text: &str) {
        self.output.extend_from_slice(text.as_bytes());
    }

    /// The same for data of a node and the end of its line. A script gets the bytes as they are,
    /// a terminal what can be shown.
    fn out_data(&mut self, data: &[u8]) {
        if io::stdout().is_terminal() {
            self.out(&String::from_utf8_lossy(data));
        } else {
            self.output.extend_from_slice(data);
        }
        self.output.push(b'\n');
    }

    fn flush(&mut self) -> Result<(), Failure> {
        let mut stdout = io::stdout().lock();
        let result = stdout.write_all(&self.output).and_then(|()| stdout.flush());
        self.output.clear();
        Ok(result?)
    }

    /// Says something beside the data.
    fn note(&self, text: &str) {
        complain(text);
    }

    /// Prints the event of a one-shot watch when it comes.
    fn print_event_of(&self, watch: Watch) {
        let printer = self.printer.clone();
        tokio::spawn(async move {
            // The end of the session is told by its own event.
            if let Ok(event) = watch.event().await {
                print(&printer, &render::event(&event));
            }
        });
    }

    /// Prints the events of a persistent watch as they come.
    fn print_events_of(&self, mut events: WatchStream) {
        let printer = self.printer.clone();
        tokio::spawn(async move {
            while let Some(event) = events.next().await {
                match event {
                    Ok(event) => print(&printer, &render::event(&event)),
                    Err(error @ Error::WatchOverflow { .. }) => {
                        print(&printer, &error.to_string());
                    }
                    Err(_) => {}
                }
            }
        });
    }

    /// Prints changes of the session, for a human.
    fn print_states(&self) {
        if self.mode != Mode::Terminal {
            return;
        }
        let printer = self.printer.clone();
        let mut states = self.client.session_events();
        tokio::spawn(async move {
            while let Some(state) = states.next().await {
                if state != SessionState::Closed {
                    print(&printer, &render::session_event(state));
                }
            }
        });
    }
}

fn print(printer: &Printer, line: &str) {
    let mut print = printer.lock().unwrap_or_else(|broken| broken.into_inner());
    print(format!("\nWATCHER::\n\n{line}\n"));
}

/// Reads commands from a pipe; the exit code is that of the last one, as in zkCli.sh.
fn lines(shell: &mut Shell, runtime: &Runtime) -> anyhow::Result<u8> {
    let mut code = 0;
    for line in io::stdin().lock().lines() {
        let line = line.context("cannot read the commands")?;
        let words = words::split(&line);
        if words.is_empty() {
            continue;
        }
        shell.history.push(line);
        code = shell.perform(runtime, &words);
        if shell.over {
            break;
        }
    }
    Ok(code)
}

fn complain(text: &str) {
    // There is nobody left to tell if this fails.
    let _ = writeln!(io::stderr(), "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Settings, String> {
        Settings::parse(words::split(text))
    }

    #[test]
    fn options_come_before_the_command() {
        let settings = parse("-server h:1/x -r -timeout 500 ls -s -r /").unwrap();
        assert_eq!(settings.server, "h:1/x");
        assert_eq!(settings.timeout, Duration::from_millis(500));
        assert!(settings.read_only && !settings.wait);
        assert_eq!(settings.command, ["ls", "-s", "-r", "/"]);
        assert_eq!(parse("--server h").unwrap().server, "h");
        assert_eq!(parse("").unwrap().server, "localhost:2181");
        assert_eq!(parse("server").unwrap().command, ["server"]);
    }

    #[test]
    fn wrong_options_are_named() {
        assert_eq!(parse("-x ls").unwrap_err(), "unknown option -x");
        assert_eq!(
            parse("-server").unwrap_err(),
            "option -server needs a value"
        );
        assert_eq!(
            parse("-timeout soon").unwrap_err(),
            "option -timeout: soon is not a time in ms"
        );
    }
}
