//! HAProxy's configuration: the one of `deploy/`, with as many gateways as there are.

/// What people deploy is what is tried here.
const TEMPLATE: &str = include_str!("../../../deploy/haproxy.cfg");
/// How a gateway's line begins there.
const SERVER: &str = "  server gateway-";

/// The configuration for so many gateways. Their addresses and its own come from the environment:
/// `GOMA_LISTEN`, `GOMA_GATEWAY_1` and so on.
pub(super) fn config(gateways: usize) -> String {
    let rest = TEMPLATE.lines().filter(|line| !line.starts_with(SERVER)).map(ToOwned::to_owned);
    let servers = (1..=gateways).map(|n| format!("{SERVER}{n} \"${{GOMA_GATEWAY_{n}}}\""));
    // The servers are the end of the last section.
    rest.chain(servers).map(|line| line + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_gateways_are_the_deployed_configuration() {
        assert_eq!(config(2), TEMPLATE);
        let three = config(3);
        assert!(three.ends_with("  server gateway-3 \"${GOMA_GATEWAY_3}\"\n"));
        assert!(!config(1).contains("gateway-2"));
    }
}
