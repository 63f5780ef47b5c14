//! Metrics in the text format of OpenMetrics, for who asks for it: it has room for exemplars.

use std::fmt::Write;
use std::time::UNIX_EPOCH;

use prometheus::proto::{Metric, MetricFamily, MetricType};

use super::exemplars::{Exemplar, Exemplars};

/// All of these families, which are counters, gauges and histograms.
pub(super) fn encode(families: &[MetricFamily], exemplars: &Exemplars) -> String {
    let mut text = String::new();
    for family in families {
        let (kind, name) = match family.get_field_type() {
            // What is counted has the name, each sample of it the ending.
            MetricType::COUNTER => ("counter", family.name().trim_end_matches("_total")),
            MetricType::GAUGE => ("gauge", family.name()),
            MetricType::HISTOGRAM => ("histogram", family.name()),
            _ => continue,
        };
        // Writing to a string does not fail.
        let _ = writeln!(text, "# TYPE {name} {kind}");
        let _ = writeln!(text, "# HELP {name} {}", escaped(family.help()));
        for metric in family.get_metric() {
            let pairs = metric.get_label().iter();
            let labels = labels(pairs.map(|pair| (pair.name(), pair.value())));
            match family.get_field_type() {
                MetricType::COUNTER => {
                    let value = metric.get_counter().get_value();
                    sample(&mut text, &format!("{name}_total"), &labels, value);
                }
                MetricType::GAUGE => {
                    sample(&mut text, name, &labels, metric.get_gauge().get_value());
                }
                _ => histogram(&mut text, name, &labels, metric, exemplars),
            }
        }
    }
    text.push_str("# EOF\n");
    text
}

/// Labels as they stand between braces, in the order of their names.
pub(super) fn labels<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut pairs: Vec<_> = pairs.collect();
    pairs.sort_unstable();
    let pairs = pairs.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value)));
    pairs.collect::<Vec<_>>().join(",")
}

fn histogram(text: &mut String, name: &str, labels: &str, metric: &Metric, exemplars: &Exemplars) {
    let histogram = metric.get_histogram();
    let bounds = histogram.get_bucket().iter();
    let finite = bounds
        .map(|bucket| (bucket.upper_bound(), bucket.cumulative_count()))
        .filter(|(bound, _)| bound.is_finite());
    for (bound, count) in finite.chain([(f64::INFINITY, histogram.get_sample_count())]) {
        let comma = if labels.is_empty() { "" } else { "," };
        let _ = write!(text, "{name}_bucket{{{labels}{comma}le=\"{}\"}} {count}", number(bound));
        if let Some(exemplar) = exemplars.of(name, labels, bound) {
            tell(text, &exemplar);
        }
        text.push('\n');
    }
    sample(text, &format!("{name}_sum"), labels, histogram.get_sample_sum());
    sample(text, &format!("{name}_count"), labels, histogram.get_sample_count() as f64);
}

fn tell(text: &mut String, exemplar: &Exemplar) {
    let Exemplar { trace, seconds, when } = exemplar;
    let when = when.duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64());
    let _ = write!(text, " # {{trace_id=\"{}\"}} {seconds} {when:.3}", escaped(trace));
}

fn sample(text: &mut String, name: &str, labels: &str, value: f64) {
    let _ = match labels.is_empty() {
        true => writeln!(text, "{name} {}", number(value)),
        false => writeln!(text, "{name}{{{labels}}} {}", number(value)),
    };
}

/// As the other format has it, so that a series is the same in both.
fn number(value: f64) -> String {
    match value.is_infinite() {
        true if value > 0.0 => "+Inf".to_owned(),
        true => "-Inf".to_owned(),
        false => value.to_string(),
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\n', "\\n").replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use prometheus::{
        Histogram, HistogramOpts, IntCounterVec, IntGauge, Opts, Registry, TextEncoder,
    };

    use super::*;

    fn registry() -> Registry {
        let registry = Registry::new();
        let done = IntCounterVec::new(Opts::new("done_total", "What is \"done\""), &["b", "a"]);
        let done = done.expect("a counter");
        done.with_label_values(&["x\ny", "1"]).inc_by(3);
        let now = IntGauge::new("now", "What is so").expect("a gauge");
        now.set(-2);
        let options = HistogramOpts::new("took_seconds", "How long").buckets(vec![0.5, 1.0]);
        let options = options.const_label("kind", "exec");
        let took = Histogram::with_opts(options).expect("a histogram");
        [0.25, 0.75, 7.0].into_iter().for_each(|seconds| took.observe(seconds));
        let metrics: [Box<dyn prometheus::core::Collector>; 3] =
            [Box::new(done), Box::new(now), Box::new(took)];
        metrics.into_iter().for_each(|one| registry.register(one).expect("a name of its own"));
        registry
    }

    #[test]
    fn an_exemplar_stands_behind_its_bucket() {
        let exemplars = Exemplars::default();
        let when = SystemTime::UNIX_EPOCH + Duration::from_millis(1500);
        let exemplar = Exemplar { trace: "ab12".to_owned(), seconds: 0.75, when };
        exemplars.note("took_seconds", &[("kind", "exec")], exemplar);
        let text = encode(&registry().gather(), &exemplars);
        let expected = r#"# TYPE done counter
# HELP done What is \"done\"
done_total{a="1",b="x\ny"} 3
# TYPE now gauge
# HELP now What is so
now -2
# TYPE took_seconds histogram
# HELP took_seconds How long
took_seconds_bucket{kind="exec",le="0.5"} 1
took_seconds_bucket{kind="exec",le="1"} 2 # {trace_id="ab12"} 0.75 1.500
took_seconds_bucket{kind="exec",le="+Inf"} 3
took_seconds_sum{kind="exec"} 8
took_seconds_count{kind="exec"} 3
# EOF
"#;
        assert_eq!(text, expected);
    }

    #[test]
    fn both_formats_tell_the_same_series() {
        let families = registry().gather();
        let plain = TextEncoder::new().encode_to_string(&families).expect("text");
        let open = encode(&families, &Exemplars::default());
        let samples = |text: &str| {
            let lines = text.lines().filter(|line| !line.starts_with('#'));
            let mut lines: Vec<_> = lines.map(str::to_owned).collect();
            lines.sort();
            lines
        };
        assert_eq!(samples(&open), samples(&plain));
    }
}
