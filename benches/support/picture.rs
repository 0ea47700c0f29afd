//! Charts of the results, as SVG.

use std::ops::Range;

use plotters::{
    coord::{combinators::LogCoord, ranged1d::ValueFormatter},
    prelude::*,
};

use tower_auth::BoxError;

use super::report::file;

const SIZE: (u32, u32) = (860, 380);
const COLOURS: [RGBColor; 3] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(130, 130, 130),
];

pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
}

/// A line chart with a logarithmic y axis. The first line is on top.
pub(crate) struct Lines<'a> {
    pub(crate) title: &'a str,
    pub(crate) x: (&'a str, Range<f64>),
    pub(crate) y: (&'a str, Range<f64>),
    pub(crate) lines: Vec<Line>,
    /// The position of the legend.
    pub(crate) names: SeriesLabelPosition,
}

impl Lines<'_> {
    pub(crate) fn over_linear_x(&self, name: &str) -> Result<(), BoxError> {
        let x: plotters::coord::types::RangedCoordf64 = self.x.1.clone().into();
        self.draw(name, x)
    }

    pub(crate) fn over_logarithmic_x(&self, name: &str) -> Result<(), BoxError> {
        let x: LogCoord<f64> = self.x.1.clone().log_scale().into();
        self.draw(name, x)
    }

    fn draw<X>(&self, name: &str, x: X) -> Result<(), BoxError>
    where
        X: Ranged<ValueType = f64> + ValueFormatter<f64>,
    {
        let path = file(name)?;
        let root = SVGBackend::new(&path, SIZE).into_drawing_area();
        root.fill(&WHITE).map_err(plain)?;
        let mut chart = ChartBuilder::on(&root)
            .caption(self.title, ("sans-serif", 18))
            .margin(12)
            .margin_right(32)
            .x_label_area_size(42)
            .y_label_area_size(64)
            .build_cartesian_2d(x, self.y.1.clone().log_scale())
            .map_err(plain)?;
        chart
            .configure_mesh()
            .light_line_style(WHITE)
            .x_desc(self.x.0)
            .y_desc(self.y.0)
            .x_label_formatter(&short)
            .y_label_formatter(&short)
            .label_style(("sans-serif", 13))
            .draw()
            .map_err(plain)?;
        for (line, colour) in self.lines.iter().zip(COLOURS).rev() {
            let points = line.points.iter().copied();
            chart
                .draw_series(LineSeries::new(points, colour.stroke_width(2)))
                .map_err(plain)?
                .label(&line.name)
                .legend(move |(x, y)| {
                    PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(3))
                });
        }
        chart
            .configure_series_labels()
            .background_style(WHITE.mix(0.85))
            .border_style(RGBColor(200, 200, 200))
            .label_font(("sans-serif", 13))
            .position(self.names.clone())
            .draw()
            .map_err(plain)?;
        root.present().map_err(plain)?;
        println!("chart written to {}", path.display());
        Ok(())
    }
}

/// A bar chart with names on the left and values at the end of the bars.
pub(crate) struct Bars {
    pub(crate) title: String,
    pub(crate) bars: Vec<(String, f64)>,
}

impl Bars {
    pub(crate) fn draw(&self, name: &str) -> Result<(), BoxError> {
        const LEFT: i32 = 190;
        const TOP: i32 = 48;
        let (width, height) = (SIZE.0 as i32, SIZE.1 as i32);
        let path = file(name)?;
        let root = SVGBackend::new(&path, SIZE).into_drawing_area();
        root.fill(&WHITE).map_err(plain)?;
        let write = |text: String, place, size: i32| {
            let font = ("sans-serif", size);
            root.draw(&Text::new(text, place, font)).map_err(plain)
        };
        write(self.title.clone(), (LEFT, 16), 18)?;
        let longest = self
            .bars
            .iter()
            .map(|(_, length)| *length)
            .fold(1.0, f64::max);
        let step = (height - TOP - 12) / self.bars.len().max(1) as i32;
        for ((name, length), index) in self.bars.iter().zip(0..) {
            let top = TOP + index * step;
            let end = LEFT + (length / longest * f64::from(width - LEFT - 80)) as i32;
            let is_ours = name.starts_with("auth");
            let colour = COLOURS[if is_ours { 0 } else { 2 }];
            let bar = Rectangle::new([(LEFT, top), (end, top + step - 6)], colour.filled());
            root.draw(&bar).map_err(plain)?;
            let middle = top + step / 2 - 10;
            write(name.clone(), (16, middle), 14)?;
            write(format!("{length:.0}"), (end + 8, middle), 14)?;
        }
        root.present().map_err(plain)?;
        println!("chart written to {}", path.display());
        Ok(())
    }
}

/// Converts an error of the plotting library to an owned one, because it borrows the drawing area.
fn plain(error: impl std::fmt::Display) -> BoxError {
    error.to_string().into()
}

/// Formats a number without trailing zeros.
fn short(number: &f64) -> String {
    format!("{}", (number * 1e6).round() / 1e6)
}
