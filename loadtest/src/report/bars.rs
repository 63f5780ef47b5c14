//! Bars, several to a group, as SVG.

/// In pixels.
const WIDTH: f64 = 900.0;
const LABELS: f64 = 150.0;
const FIGURES: f64 = 110.0;
const BAR: f64 = 18.0;
const GAP: f64 = 12.0;
const COLOURS: [&str; 4] = ["#1f77b4", "#d62728", "#2ca02c", "#ff7f0e"];

/// What is drawn.
pub(super) struct Bars<'a> {
    pub(super) unit: &'a str,
    /// Of the bars of each group.
    pub(super) names: Vec<String>,
    /// Each with its name.
    pub(super) groups: Vec<(String, Vec<Option<f64>>)>,
}

impl Bars<'_> {
    /// The longest bar fills the width.
    pub(super) fn svg(&self) -> String {
        let values = self.groups.iter().flat_map(|(_, values)| values).flatten();
        let most = values.fold(f64::MIN_POSITIVE, |most, value| most.max(*value));
        let mut y = GAP;
        let mut bars = String::new();
        let text = |x: f64, y: f64, words: &str| {
            format!("<text x=\"{x}\" y=\"{y:.0}\">{}</text>\n", escaped(words))
        };
        if self.names.len() > 1 {
            for (name, colour) in self.names.iter().zip(COLOURS.iter().cycle()) {
                bars += &bar(LABELS - BAR, y, BAR, colour);
                bars += &text(LABELS + 8.0, y + 14.0, name);
                y += BAR + 2.0;
            }
            y += GAP;
        }
        for (group, values) in &self.groups {
            bars += &text(10.0, y + 14.0, group);
            for (value, colour) in values.iter().zip(COLOURS.iter().cycle()) {
                if let Some(value) = value {
                    let width = value / most * (WIDTH - LABELS - FIGURES);
                    bars += &bar(LABELS, y, width.max(1.0), colour);
                    let figure = format!("{value:.3} {}", self.unit);
                    bars += &text(LABELS + width + 8.0, y + 14.0, &figure);
                }
                y += BAR + 2.0;
            }
            y += GAP;
        }
        format!(
            "<svg width=\"{WIDTH}\" height=\"{y}\" viewBox=\"0 0 {WIDTH} {y}\" \
             font-family=\"sans-serif\" font-size=\"14\" fill=\"#000\" \
             xmlns=\"http://www.w3.org/2000/svg\">\n{bars}</svg>"
        )
    }
}

fn bar(x: f64, y: f64, width: f64, colour: &str) -> String {
    format!(
        "<rect x=\"{x}\" y=\"{y:.0}\" width=\"{width:.1}\" height=\"{BAR}\" fill=\"{colour}\"/>\n"
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_as_long_as_their_figures() {
        let groups = vec![
            ("job".to_owned(), vec![Some(1.0), Some(2.0)]),
            ("<tree>".to_owned(), vec![None, Some(4.0)]),
        ];
        let names = vec!["a".to_owned(), "b".to_owned()];
        let svg = Bars { unit: "ms", names, groups }.svg();
        for told in ["width=\"160.0\"", "width=\"320.0\"", "width=\"640.0\"", "2.000 ms"] {
            assert!(svg.contains(told), "no {told} in {svg}");
        }
        assert!(svg.contains("&lt;tree&gt;"));
    }

    #[test]
    fn the_longest_leaves_room_for_its_figure() {
        let groups = vec![("a".to_owned(), vec![Some(0.0)])];
        let svg = Bars { unit: "ms", names: vec!["x".to_owned()], groups }.svg();
        assert!(svg.contains("0.000 ms") && !svg.contains("NaN"));
    }
}
