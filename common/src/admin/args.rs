//! The flag of the admin port.

use std::net::SocketAddr;
use std::str::FromStr;

use clap::Args;

/// Where operators look.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Telemetry")]
pub struct AdminArgs {
    /// Address and port for operators: the status page, /metrics for Prometheus, /log; `off` for none
    /// [default: 127.0.0.1 at 9190, of a shard 9191, where that is free]
    #[arg(long, env = "GOMA_ADMIN_LISTEN", value_name = "ADDR:PORT")]
    pub admin_listen: Option<AdminListen>,
}

/// What the flag says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdminListen {
    /// Nowhere.
    Off,
    /// There.
    At(SocketAddr),
}

impl FromStr for AdminListen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(Self::Off),
            address => match address.parse() {
                Ok(address) => Ok(Self::At(address)),
                Err(_) => Err("write an address and a port as 127.0.0.1:9190, or off".to_owned()),
            },
        }
    }
}
