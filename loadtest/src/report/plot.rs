//! Pictures of figures, as SVG.

use std::fmt::Display;
use std::io;

use plotters::prelude::*;

/// Of every picture, in pixels.
const SIZE: (u32, u32) = (900, 320);
const FONT: (&str, u32) = ("sans-serif", 14);
const COLOURS: [RGBColor; 6] = [
    RGBColor(0x1f, 0x77, 0xb4),
    RGBColor(0xd6, 0x27, 0x28),
    RGBColor(0x2c, 0xa0, 0x2c),
    RGBColor(0xff, 0x7f, 0x0e),
    RGBColor(0x94, 0x67, 0xbd),
    RGBColor(0x55, 0x55, 0x55),
];

/// What is drawn, and what its axes mean.
pub struct Plot<'a> {
    /// Below the horizontal axis.
    pub x: &'a str,
    /// How a place on the horizontal axis is spelled.
    pub at: fn(&f64) -> String,
    /// Beside the vertical axis.
    pub y: &'a str,
    /// Each with its name.
    pub series: Vec<Series<'a>>,
    /// A place on the horizontal axis where something happened.
    pub mark: Option<f64>,
}

/// Figures that belong together.
pub struct Series<'a> {
    /// What they are.
    pub name: &'a str,
    /// Where they are, from left to right.
    pub points: Vec<(f64, f64)>,
}

impl Plot<'_> {
    /// Each series as a line; the vertical axis begins at 0.
    ///
    /// # Errors
    /// When there is nothing to draw.
    pub fn svg(&self) -> io::Result<String> {
        let mut svg = String::new();
        self.draw(SVGBackend::with_string(&mut svg, SIZE)).map_err(io::Error::other)?;
        Ok(svg)
    }

    fn draw(&self, backend: SVGBackend<'_>) -> Result<(), String> {
        let area = backend.into_drawing_area();
        area.fill(&WHITE).map_err(told)?;
        let points = || self.series.iter().flat_map(|series| &series.points);
        let (left, right) =
            points().fold((f64::MAX, f64::MIN), |(l, r), (x, _)| (l.min(*x), r.max(*x)));
        if left >= right {
            return Err("a picture needs two points".to_owned());
        }
        let top = points().fold(0.0_f64, |top, (_, y)| top.max(*y)).max(f64::MIN_POSITIVE) * 1.05;
        let mut chart = ChartBuilder::on(&area)
            .margin(10)
            .x_label_area_size(40)
            .y_label_area_size(70)
            .build_cartesian_2d(left..right, 0.0..top)
            .map_err(told)?;
        chart
            .configure_mesh()
            .x_desc(self.x)
            .x_label_formatter(&self.at)
            .y_desc(self.y)
            .label_style(FONT)
            .light_line_style(TRANSPARENT)
            .draw()
            .map_err(told)?;
        if let Some(at) = self.mark {
            let line = PathElement::new([(at, 0.0), (at, top)], BLACK.mix(0.5).stroke_width(1));
            chart.draw_series([line]).map_err(told)?;
        }
        for (series, colour) in self.series.iter().zip(COLOURS.iter().cycle()) {
            let style = colour.stroke_width(2);
            chart
                .draw_series(LineSeries::new(series.points.iter().copied(), style))
                .map_err(told)?
                .label(series.name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], style));
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperLeft)
            .background_style(WHITE.mix(0.8))
            .label_font(FONT)
            .draw()
            .map_err(told)?;
        area.present().map_err(told)
    }
}

fn told(error: impl Display) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_names_what_it_shows_and_marks_what_happened() {
        let series = vec![Series { name: "calls", points: vec![(9.0, 1.0), (10.0, 2.0)] }];
        let plot = Plot {
            x: "time of day",
            at: |hours| format!("{hours:.1} h"),
            y: "a compile",
            series,
            mark: Some(9.5),
        };
        let svg = plot.svg().expect("two points");
        for told in ["<svg", "calls", "time of day", "9.4 h", "a compile"] {
            assert!(svg.contains(told), "no {told}");
        }
        let unmarked = Plot { mark: None, ..plot };
        assert!(unmarked.svg().expect("two points").len() < svg.len());
        assert!(Plot { series: Vec::new(), ..unmarked }.svg().is_err());
    }
}
