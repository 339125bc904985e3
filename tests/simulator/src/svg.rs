//! A picture of some series of numbers, as a file of its own: nothing but lines, dots and words.

#![expect(
    clippy::disallowed_methods,
    reason = "places in a picture are rounded to a tenth of a point"
)]

use std::fmt::Write;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 400.0;
/// Room for words left, right, above and below.
const MARGINS: [f64; 4] = [70.0, 150.0, 46.0, 52.0];
const COLOURS: [&str; 4] = ["#1b6ca8", "#d1495b", "#3a7d44", "#8a5a00"];
/// Lines across, about.
const LINES: f64 = 5.0;

/// An axis.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Axis {
    /// What is told there, with its unit.
    pub(crate) label: &'static str,
    /// Each step is so many times the one before, rather than so much more.
    pub(crate) is_log: bool,
}

/// One line.
#[derive(Debug, Clone)]
pub(crate) struct Series {
    pub(crate) name: &'static str,
    pub(crate) points: Vec<(f64, f64)>,
}

/// From numbers to places.
struct Scale {
    is_log: bool,
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Scale {
    fn of(values: impl Iterator<Item = f64> + Clone, is_log: bool, from: f64, to: f64) -> Self {
        let most = values.clone().fold(f64::MIN, f64::max);
        let (low, high) = if is_log {
            let least = values.fold(f64::MAX, f64::min).max(f64::MIN_POSITIVE);
            (least, most.max(least * 10.0))
        } else {
            (0.0, most.max(f64::MIN_POSITIVE) * 1.05)
        };
        Self {
            is_log,
            low,
            high,
            from,
            to,
        }
    }

    fn place(&self, value: f64) -> f64 {
        let part = if self.is_log {
            (value / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        self.from + part * (self.to - self.from)
    }

    /// Round numbers within.
    fn ticks(&self) -> Vec<f64> {
        if self.is_log {
            let powers = -3..10;
            let ticks = powers.flat_map(|p| [1.0, 2.0, 5.0].map(|m| m * 10f64.powi(p)));
            let within = |tick: &f64| *tick >= self.low * 0.999 && *tick <= self.high * 1.001;
            return ticks.filter(within).collect();
        }
        let rough = (self.high - self.low) / LINES;
        let power = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|m| m * power);
        let step = step.into_iter().find(|s| *s >= rough).unwrap_or(rough);
        let count = ((self.high - self.low) / step).floor() as u32;
        (0..=count)
            .map(|i| self.low + f64::from(i) * step)
            .collect()
    }
}

fn number(value: f64) -> String {
    let text = format!("{value:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    // Thousands apart.
    match text.split_once('.') {
        None if text.len() > 3 => {
            let (head, tail) = text.split_at(text.len() - 3);
            format!("{head},{tail}")
        }
        _ => text.to_owned(),
    }
}

/// The picture of these series.
pub(crate) fn chart(title: &str, x: Axis, y: Axis, series: &[Series]) -> String {
    let [left, right, above, below] = MARGINS;
    let (end, base) = (WIDTH - right, HEIGHT - below);
    let points = || series.iter().flat_map(|s| s.points.iter());
    let across = Scale::of(points().map(|p| p.0), x.is_log, left, end);
    let up = Scale::of(points().map(|p| p.1), y.is_log, base, above);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{HEIGHT}\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"12\" fill=\"#222\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <text x=\"{left}\" y=\"24\" font-size=\"15\">{title}</text>\n"
    );
    let mut line = |text: std::fmt::Arguments<'_>| {
        // Writing to a text does not fail.
        let _ = writeln!(out, "{text}");
    };
    for tick in up.ticks() {
        let place = up.place(tick);
        line(format_args!(
            "<path d=\"M{left} {place:.1}H{end}\" stroke=\"#ddd\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            left - 8.0,
            place + 4.0,
            number(tick)
        ));
    }
    for tick in across.ticks() {
        let place = across.place(tick);
        line(format_args!(
            "<path d=\"M{place:.1} {base}v5\" stroke=\"#222\"/>\
             <text x=\"{place:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            base + 19.0,
            number(tick)
        ));
    }
    line(format_args!(
        "<path d=\"M{left} {above}V{base}H{end}\" stroke=\"#222\" fill=\"none\"/>"
    ));
    line(format_args!(
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
        f64::midpoint(left, end),
        HEIGHT - 12.0,
        x.label
    ));
    line(format_args!(
        "<text transform=\"translate(18 {:.1}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
        f64::midpoint(above, base),
        y.label
    ));
    for (i, series) in series.iter().enumerate() {
        let colour = COLOURS[i % COLOURS.len()];
        let places = series
            .points
            .iter()
            .map(|(x, y)| (across.place(*x), up.place(*y)));
        let path: Vec<String> = places
            .clone()
            .map(|(x, y)| format!("{x:.1} {y:.1}"))
            .collect();
        line(format_args!(
            "<path d=\"M{}\" stroke=\"{colour}\" stroke-width=\"2\" fill=\"none\"/>",
            path.join("L")
        ));
        for (x, y) in places {
            line(format_args!(
                "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{colour}\"/>"
            ));
        }
        let height = above + 8.0 + 20.0 * i as f64;
        line(format_args!(
            "<path d=\"M{:.1} {height:.1}h18\" stroke=\"{colour}\" stroke-width=\"2\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            end + 12.0,
            end + 36.0,
            height + 4.0,
            series.name
        ));
    }
    out.push_str("</svg>\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_places_that_their_axis_gives_them() {
        let even = Scale::of([0.0, 100.0].into_iter(), false, 0.0, 105.0);
        assert!((even.place(50.0) - 50.0).abs() < 1e-9);
        assert_eq!(even.ticks(), [0.0, 50.0, 100.0]);
        let log = Scale::of([1.0, 1000.0].into_iter(), true, 0.0, 3.0);
        assert!((log.place(10.0) - 1.0).abs() < 1e-9);
        assert_eq!(log.ticks().len(), 10);
    }

    #[test]
    fn every_series_is_drawn_and_named() {
        let axis = |label| Axis {
            label,
            is_log: false,
        };
        let series = |name| Series {
            name,
            points: vec![(0.0, 1.0), (1.0, 2.0), (2.0, 4_000.0)],
        };
        let drawn = chart(
            "a title",
            axis("x"),
            axis("y"),
            &[series("one"), series("two")],
        );
        assert_eq!(drawn.matches("<circle").count(), 6);
        for word in ["a title", ">one<", ">two<", ">x<", ">y<", ">4,000<"] {
            assert!(drawn.contains(word), "{word}\n{drawn}");
        }
    }
}
