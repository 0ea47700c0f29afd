//! Pictures of results, as SVG.

use std::{error::Error, ops::Range};

use plotters::{
    coord::{combinators::LogCoord, ranged1d::ValueFormatter},
    prelude::*,
};

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

/// Lines over a logarithmic y axis, the first one on top.
pub(crate) struct Lines<'a> {
    pub(crate) title: &'a str,
    pub(crate) x: (&'a str, Range<f64>),
    pub(crate) y: (&'a str, Range<f64>),
    pub(crate) lines: Vec<Line>,
    /// Where there is room for the names.
    pub(crate) names: SeriesLabelPosition,
}

impl Lines<'_> {
    pub(crate) fn over_linear_x(&self, name: &str) -> Result<(), Box<dyn Error>> {
        let x: plotters::coord::types::RangedCoordf64 = self.x.1.clone().into();
        self.draw(name, x)
    }

    pub(crate) fn over_logarithmic_x(&self, name: &str) -> Result<(), Box<dyn Error>> {
        let x: LogCoord<f64> = self.x.1.clone().log_scale().into();
        self.draw(name, x)
    }

    fn draw<X>(&self, name: &str, x: X) -> Result<(), Box<dyn Error>>
    where
        X: Ranged<ValueType = f64> + ValueFormatter<f64>,
    {
        let path = file(name)?;
        let root = SVGBackend::new(&path, SIZE).into_drawing_area();
        root.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&root)
            .caption(self.title, ("sans-serif", 18))
            .margin(12)
            .margin_right(32)
            .x_label_area_size(42)
            .y_label_area_size(64)
            .build_cartesian_2d(x, self.y.1.clone().log_scale())?;
        chart
            .configure_mesh()
            .light_line_style(WHITE)
            .x_desc(self.x.0)
            .y_desc(self.y.0)
            .x_label_formatter(&short)
            .y_label_formatter(&short)
            .label_style(("sans-serif", 13))
            .draw()?;
        for (line, colour) in self.lines.iter().zip(COLOURS).rev() {
            let points = line.points.iter().copied();
            chart
                .draw_series(LineSeries::new(points, colour.stroke_width(2)))?
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
            .draw()?;
        root.present()?;
        println!("drawn in {}", path.display());
        Ok(())
    }
}

/// A number without zeros that say nothing.
fn short(number: &f64) -> String {
    format!("{}", (number * 1e6).round() / 1e6)
}
