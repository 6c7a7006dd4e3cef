//! A plot of one or more curves as SVG, both axes logarithmic: what grows as fast as the size is a
//! straight line of slope one.

use std::fmt::Write as _;

use super::page::figure;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 400.0;
const LEFT: f64 = 80.0;
const RIGHT: f64 = 150.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 50.0;

/// Colours that differ in brightness as well.
const COLOURS: [&str; 4] = ["#0b5394", "#cc4125", "#6aa84f", "#8e7cc3"];

/// A curve: its name and its points.
pub(crate) struct Curve {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
}

/// Where an axis begins and ends, in powers of ten.
struct Axis {
    low: f64,
    high: f64,
}

impl Axis {
    fn over(values: impl Iterator<Item = f64> + Clone) -> Axis {
        let low = values.clone().fold(f64::INFINITY, f64::min).log10().floor();
        let high = values.fold(0.0, f64::max).log10().ceil();
        // Of no points.
        let low = if low.is_finite() { low } else { 0.0 };
        Axis {
            low,
            high: high.max(low + 1.0),
        }
    }

    /// Where a value is, from 0 to 1.
    fn place(&self, value: f64) -> f64 {
        (value.log10() - self.low) / (self.high - self.low)
    }

    fn tens(&self) -> impl Iterator<Item = f64> + use<> {
        (self.low as i32..=self.high as i32).map(|power| 10f64.powi(power))
    }
}

/// The plot. Points that are not above zero cannot be shown and are left out.
pub(crate) fn svg(title: &str, x_name: &str, y_name: &str, curves: &[Curve]) -> String {
    let shown = |curve: &Curve| -> Vec<(f64, f64)> {
        let above = |(x, y): &&(f64, f64)| *x > 0.0 && *y > 0.0;
        curve.points.iter().filter(above).copied().collect()
    };
    let points: Vec<(f64, f64)> = curves.iter().flat_map(shown).collect();
    let x_axis = Axis::over(points.iter().map(|point| point.0));
    let y_axis = Axis::over(points.iter().map(|point| point.1));
    let x = |value: f64| LEFT + x_axis.place(value) * (WIDTH - LEFT - RIGHT);
    let y = |value: f64| HEIGHT - BOTTOM - y_axis.place(value) * (HEIGHT - TOP - BOTTOM);
    let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n\
         <text x=\"{LEFT}\" y=\"22\" font-size=\"15\">{}</text>\n",
        escape(title)
    );
    let mut line = |text: String| out.push_str(&(text + "\n"));
    for ten in x_axis.tens() {
        let at = x(ten);
        line(format!(
            "<path d=\"M{at:.1} {TOP}V{bottom}\" stroke=\"#ddd\"/><text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            bottom + 18.0,
            short(ten)
        ));
    }
    for ten in y_axis.tens() {
        let at = y(ten);
        line(format!(
            "<path d=\"M{LEFT} {at:.1}H{right}\" stroke=\"#ddd\"/><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            LEFT - 6.0,
            at + 4.0,
            short(ten)
        ));
    }
    line(format!(
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
        (LEFT + right) / 2.0,
        HEIGHT - 10.0,
        escape(x_name)
    ));
    line(format!(
        "<text transform=\"translate(18 {:.1}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
        (TOP + bottom) / 2.0,
        escape(y_name)
    ));
    for (number, curve) in curves.iter().enumerate() {
        let colour = COLOURS[number % COLOURS.len()];
        let mut way = String::new();
        for (at, (px, py)) in shown(curve).into_iter().enumerate() {
            let verb = if at == 0 { 'M' } else { 'L' };
            let _ = write!(way, "{verb}{:.1} {:.1}", x(px), y(py));
            line(format!(
                "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\" fill=\"{colour}\"><title>{}: {}</title></circle>",
                x(px),
                y(py),
                short(px),
                figure(py)
            ));
        }
        line(format!(
            "<path d=\"{way}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>"
        ));
        line(format!(
            "<text x=\"{:.1}\" y=\"{:.1}\" fill=\"{colour}\">{}</text>",
            right + 10.0,
            TOP + 14.0 + 18.0 * number as f64,
            escape(&curve.name)
        ));
    }
    out + "</svg>\n"
}

/// 10000000 as 10 M.
pub(crate) fn short(value: f64) -> String {
    for (unit, name) in [(1e9, " G"), (1e6, " M"), (1e3, " k")] {
        if value >= unit {
            return format!("{}{name}", value / unit);
        }
    }
    format!("{value}")
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_lie_where_their_powers_of_ten_are() {
        let axis = Axis::over([10.0, 1000.0].into_iter());
        assert_eq!(axis.place(10.0), 0.0);
        assert_eq!(axis.place(100.0), 0.5);
        assert_eq!(axis.tens().collect::<Vec<_>>(), [10.0, 100.0, 1000.0]);
    }

    #[test]
    fn a_plot_is_well_formed_whatever_it_holds() {
        let curve = |points: Vec<(f64, f64)>| Curve {
            name: "a < b".into(),
            points,
        };
        let plot = svg("t", "x", "y", &[curve(vec![(1.0, 0.0), (10.0, 5.0)])]);
        assert!(plot.contains("a &lt; b") && plot.ends_with("</svg>\n"));
        // The point at zero is left out.
        assert_eq!(plot.matches("<circle").count(), 1);
        let one = svg("t", "x", "y", &[curve(vec![(10.0, 10.0)])]);
        assert!(!one.contains("NaN") && !one.contains("inf"));
        let none = svg("t", "x", "y", &[]);
        assert!(none.ends_with("</svg>\n") && !none.contains("NaN") && !none.contains("inf"));
    }
}
