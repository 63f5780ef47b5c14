//! HAProxy's configuration: the one of `deploy/`, with as many gateways as there are.

/// What people deploy is what is tried here.
const TEMPLATE: &str = include_str!("../../../deploy/haproxy.cfg");
/// How the line of a gateway begins there.
const SERVER: &str = "  server ";

/// The configuration for so many gateways. Their addresses and its own come from the environment:
/// `GOMA_LISTEN`, `GOMA_GATEWAY_1` and so on.
pub(super) fn config(gateways: usize) -> String {
    TEMPLATE.lines().flat_map(|line| lines(line, gateways)).map(|line| line + "\n").collect()
}

/// The line, or in place of the first gateway's one for each gateway.
fn lines(line: &str, gateways: usize) -> Vec<String> {
    if !line.starts_with(SERVER) {
        return vec![line.to_owned()];
    }
    let (name, address) = ("-1 ", "_1}");
    if !line.contains(name) {
        return Vec::new();
    }
    let of = |n| line.replace(name, &format!("-{n} ")).replace(address, &format!("_{n}}}"));
    (1..=gateways).map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_gateways_are_the_deployed_configuration() {
        assert_eq!(config(2), TEMPLATE);
        let three = config(3);
        assert!(three.ends_with("  server gateway-3 \"${GOMA_GATEWAY_3}\"\n"));
        assert!(three.contains("  server unready-3 \"${GOMA_GATEWAY_3}\" backup\n"));
        assert!(!config(1).contains("-2 "));
    }
}
