//! `convexctl logs`.

use ipc::control::{Reply, Request};

use crate::cli;
use crate::control::{Connection, refused, run_directory, unexpected};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Out;

pub(crate) fn run(args: &cli::Logs, out: &mut Out) -> Result<Exit, Failure> {
    let mut connection = Connection::open(&run_directory(&args.on))?;
    connection.send(&Request::Logs {
        lines: args.lines,
        of: args.of,
        follow: args.follow,
    })?;
    while let Some(reply) = connection.receive()? {
        match reply {
            Reply::Logs(lines) => {
                for line in lines {
                    out.line(line)?;
                }
                out.flush()?;
            }
            Reply::Refused { why, text } => return Err(refused(why, &text)),
            other => return Err(unexpected(&other)),
        }
        if !out.is_open() {
            break;
        }
    }
    Ok(Exit::Ok)
}
