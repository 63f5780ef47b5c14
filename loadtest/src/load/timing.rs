//! The `Server-Timing` header: what the server says it spent its time on.

/// The stages with a duration in milliseconds, in order; what is no such thing is left out.
pub(crate) fn stages(header: &str) -> impl Iterator<Item = (&str, f64)> {
    header.split(',').filter_map(|metric| {
        let mut parts = metric.split(';').map(str::trim);
        let name = parts.next().filter(|name| !name.is_empty())?;
        let duration = parts.find_map(|parameter| {
            let (key, value) = parameter.split_once('=')?;
            key.trim().eq_ignore_ascii_case("dur").then(|| value.trim().trim_matches('"'))
        })?;
        let millis: f64 = duration.parse().ok()?;
        (millis.is_finite() && millis >= 0.0).then_some((name, millis))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(header: &str) -> Vec<(&str, f64)> {
        stages(header).collect()
    }

    #[test]
    fn names_and_durations_are_read() {
        assert_eq!(read("job;dur=0.123, inputs;dur=1.2"), [("job", 0.123), ("inputs", 1.2)]);
        assert_eq!(read("a;desc=\"x\";dur=\"2\",b;DUR = 3"), [("a", 2.0), ("b", 3.0)]);
    }

    #[test]
    fn what_has_no_duration_is_left_out() {
        assert_eq!(read(""), []);
        assert_eq!(read("miss, a;dur=, b;dur=-1, c;dur=nan, ;dur=1, d;dur=4"), [("d", 4.0)]);
    }
}
