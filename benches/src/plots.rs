//! The plots, as SVG: every figure beside what it is to beat, and what a number alone does not show.
//!
//! ```text
//! DIR/speed.svg       the figures P1 to P8 beside what each is to beat
//! DIR/latency.svg     how long a lone caller waits, and one fdatasync of as many bytes
//! DIR/throughput.svg  calls a second against submitters
//! DIR/growth.svg      cost of a key of the state tree against the number of keys
//! ```

use crate::series::{Growth, Latencies, Throughput};
use plotters::coord::Shift;
use plotters::prelude::*;
use std::error::Error;
use std::path::Path;

/// What went wrong in drawing.
pub type Drawn = Result<(), Box<dyn Error>>;
type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

const OURS: RGBColor = RGBColor(120, 170, 220);
const GOAL: RGBColor = RGBColor(170, 210, 150);
const OTHER: RGBColor = RGBColor(215, 215, 215);
const FONT: &str = "sans-serif";

/// Something to compare a figure with.
enum Beside {
    /// Another part of the same run.
    Part(&'static str, &'static str),
    /// What is to be reached.
    Goal(f64),
    /// What others do, as `chancery-beside` has measured it.
    Other(&'static str, &'static str),
    /// What the figure is a multiple of.
    One(&'static str),
}
use Beside::{Goal, One, Other, Part};

/// One comparison: title, unit, the figures that are ours, what stands beside.
type Comparison = (&'static str, &'static str, &'static [(&'static str, &'static str)], &'static [Beside]);

const COMPARISONS: [Comparison; 8] = [
    (
        "P1: a call in memory, one core",
        "µs (less is better)",
        &[("P1", "chancery")],
        &[
            Goal(4.0),
            Other("revm", "revm 43"),
            Other("cosmwasm-kept", "cosmwasm-vm 3.0, its instance kept"),
            Other("cosmwasm", "cosmwasm-vm 3.0"),
        ],
    ),
    (
        "P2: end to end, durable, 64 submitters",
        "calls/s",
        &[("P2", "chancery: signed, state root, public log")],
        &[
            Goal(50_000.0),
            Other("postgres-64", "PostgreSQL, audit row, unsigned"),
            Other("postgres-chained-64", "PostgreSQL, hash-chained, unsigned"),
        ],
    ),
    (
        "P3: latency of a lone caller",
        "× fdatasync (less is better)",
        &[("P3", "chancery")],
        &[Goal(1.3), One("fdatasync")],
    ),
    (
        "P4: metering",
        "× unmetered (less is better)",
        &[("P4", "chancery")],
        &[Goal(1.2), Part("P4a", "wasmtime's fuel")],
    ),
    (
        "P5: cost on many keys over that on few",
        "× (less is better)",
        &[("P5", "a call of P2"), ("P5b", "a key of the state tree, alone")],
        &[Goal(1.5)],
    ),
    (
        "P6: audit, every signature verified",
        "calls/s",
        &[("P6", "chancery audit")],
        &[Part("P6a", "written, in the same run")],
    ),
    ("P7: SNAP cases, file to durable answers", "cases/s", &[("P7", "chancery batch")], &[Goal(25_000.0)]),
    ("P8: two cores over one", "×", &[("P8a", "in memory"), ("P8b", "end to end")], &[Goal(1.7)]),
];

struct Bar {
    label: String,
    value: f64,
    colour: RGBColor,
}

/// The figures beside what each is to beat; what was not measured is left out.
pub fn speed(path: &Path, value: &dyn Fn(&str) -> Option<f64>, other: &dyn Fn(&str) -> Option<f64>) -> Drawn {
    let root = SVGBackend::new(path, (1_000, 840)).into_drawing_area();
    root.fill(&WHITE)?;
    for ((title, unit, ours, beside), area) in COMPARISONS.iter().zip(root.split_evenly((4, 2))) {
        let part = |id: &str, label: &str, colour| value(id).map(|value| Bar { label: label.into(), value, colour });
        let own: Vec<Bar> = ours.iter().filter_map(|(id, label)| part(id, label, OURS)).collect();
        if own.is_empty() {
            bars(&area, &format!("{title}: not measured"), &[])?;
            continue;
        }
        let other = beside.iter().filter_map(|beside| match beside {
            Part(id, label) => part(id, label, OTHER),
            Goal(value) => Some(Bar { label: "goal".into(), value: *value, colour: GOAL }),
            Other(id, label) => other(id).map(|value| Bar { label: (*label).into(), value, colour: OTHER }),
            One(label) => Some(Bar { label: (*label).into(), value: 1.0, colour: OTHER }),
        });
        bars(&area, &format!("{title}, {unit}"), &own.into_iter().chain(other).collect::<Vec<_>>())?;
    }
    root.present()?;
    Ok(())
}

fn bars(area: &Area<'_>, title: &str, bars: &[Bar]) -> Drawn {
    let most = bars.iter().map(|bar| bar.value).fold(0.0, f64::max).max(f64::MIN_POSITIVE);
    let mut chart = ChartBuilder::on(area)
        .caption(title, (FONT, 15))
        .margin(12)
        .build_cartesian_2d(0.0..most * 1.6, 0.0..bars.len().max(4) as f64)?;
    // The first bar stands at the top.
    let bottom = |row: usize| bars.len().max(4) as f64 - row as f64 - 0.9;
    chart.draw_series(
        bars.iter().enumerate().map(|(row, bar)| {
            Rectangle::new([(0.0, bottom(row)), (bar.value, bottom(row) + 0.8)], bar.colour.filled())
        }),
    )?;
    chart.draw_series(bars.iter().enumerate().map(|(row, bar)| {
        let text = format!("{}  {}", shown(bar.value), bar.label);
        Text::new(text, (most * 0.015, bottom(row) + 0.62), (FONT, 14))
    }))?;
    Ok(())
}

/// A number for people: three digits, thousands apart.
fn shown(value: f64) -> String {
    if value < 100.0 {
        return format!("{}", (value * 100.0).round() / 100.0);
    }
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A line of a chart.
struct Line<'a> {
    label: String,
    colour: RGBColor,
    points: &'a [(f64, f64)],
}

fn lines(path: &Path, title: &str, (x, y): (&str, &str), lines: &[Line<'_>]) -> Drawn {
    let root = SVGBackend::new(path, (800, 420)).into_drawing_area();
    root.fill(&WHITE)?;
    let points = || lines.iter().flat_map(|line| line.points);
    let least = points().map(|(x, _)| *x).fold(f64::INFINITY, f64::min);
    let most = points().map(|(x, _)| *x).fold(0.0, f64::max);
    let top = points().map(|(_, y)| *y).fold(0.0, f64::max);
    let mut chart = ChartBuilder::on(&root)
        .caption(title, (FONT, 18))
        .margin(14)
        // The last label stands below the edge.
        .margin_right(45)
        .x_label_area_size(45)
        .y_label_area_size(75)
        .build_cartesian_2d((least..most * 1.05).log_scale(), 0.0..top * 1.1)?;
    let label = |value: &f64| shown(*value);
    chart
        .configure_mesh()
        .x_labels(8)
        .x_desc(x)
        .y_desc(y)
        .x_label_formatter(&label)
        .y_label_formatter(&label)
        .label_style((FONT, 13))
        .light_line_style(WHITE)
        .draw()?;
    for line in lines {
        let style = line.colour.stroke_width(2);
        let colour = line.colour;
        chart
            .draw_series(LineSeries::new(line.points.iter().copied(), style))?
            .label(&line.label)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
    }
    let position = SeriesLabelPosition::LowerRight;
    chart
        .configure_series_labels()
        .position(position)
        .background_style(WHITE)
        .border_style(BLACK)
        .label_font((FONT, 13))
        .draw()?;
    root.present()?;
    Ok(())
}

const LINE: RGBColor = RGBColor(40, 100, 180);
const SECOND_LINE: RGBColor = RGBColor(200, 90, 40);

/// Which part of the lone caller's calls, and of the fdatasyncs, was done within a time.
pub fn latency(path: &Path, Latencies { calls, syncs }: &Latencies) -> Drawn {
    let share = |times: &[f64]| -> Vec<(f64, f64)> {
        // The last thousandth would make a long line of a few points.
        let kept = times.len() - times.len() / 1_000;
        let step = (kept / 500).max(1);
        (1..=kept).step_by(step).map(|count| (times[count - 1], 100.0 * count as f64 / times.len() as f64)).collect()
    };
    let (calls, syncs) = (share(calls), share(syncs));
    let both = [
        Line { label: "a durable call, one caller alone".into(), colour: LINE, points: &calls },
        Line { label: "one write and fdatasync of as many bytes".into(), colour: SECOND_LINE, points: &syncs },
    ];
    lines(path, "How long a lone caller waits", ("µs", "per cent within"), &both)
}

/// Calls a second against submitters.
pub fn throughput(path: &Path, Throughput(points): &Throughput) -> Drawn {
    let line = Line { label: "disburse, end to end, durable".into(), colour: LINE, points };
    lines(path, "Calls a second against submitters", ("submitters, each waiting for its answer", "calls/s"), &[line])
}

/// Cost against keys.
pub fn growth(path: &Path, Growth(points): &Growth) -> Drawn {
    let line = Line { label: "state tree: a key of a block of 64 payments".into(), colour: LINE, points };
    lines(path, "Cost of a written key against the size of the state", ("keys", "µs"), &[line])
}
