//! A flame graph of a profile as SVG: a box for each way by which something was called, as wide as its share of the gas with everything below it.
//!
//! Callers stand below, callees above them, in the order of their names; a box shows its name where it has room and tells the rest when it is pointed at. Functions are
//! warm, functions of the host blue, bulk operators green. What is narrower than a third of a pixel is left out. The file is text without scripts.

use chancery_engine::profile::{Frame, Profile};
use std::fmt::Write;

/// Width of the picture in tenths of a pixel.
const WIDTH: u64 = 12_000;
/// Width of the narrowest box that is drawn, in tenths of a pixel.
const NARROWEST: u64 = 3;
/// Height of a box in pixels.
const ROW: usize = 18;
/// Space for the title in pixels.
const TITLE: usize = 30;
/// Width of a letter in tenths of a pixel.
const LETTER: u64 = 66;

/// Boxes of one picture.
struct Picture<'a> {
    profile: &'a Profile,
    /// Gas of each node with its callees.
    gas: Vec<u64>,
    callees: Vec<Vec<usize>>,
    total: u64,
    /// Left edge and row of each box, and its node.
    boxes: Vec<(u64, usize, usize)>,
}

/// The picture.
pub fn svg(profile: &Profile, title: &str) -> String {
    let mut callees = vec![Vec::new(); profile.nodes.len()];
    let mut roots = Vec::new();
    for (at, node) in profile.nodes.iter().enumerate() {
        node.caller.map_or(&mut roots, |caller| &mut callees[caller]).push(at);
    }
    let total = profile.gas().0.max(1);
    let mut picture = Picture { profile, gas: profile.gas_with_callees(), callees, total, boxes: Vec::new() };
    picture.place(roots);
    picture.draw(title)
}

impl Picture<'_> {
    /// Places nodes beside each other from the left edge, and their callees above them.
    fn place(&mut self, roots: Vec<usize>) {
        let mut todo = vec![(0, 0, roots)];
        while let Some((mut start, row, mut nodes)) = todo.pop() {
            nodes.sort_by(|a, b| self.profile.nodes[*a].frame.cmp(&self.profile.nodes[*b].frame));
            for at in nodes {
                if self.scaled(self.gas[at]) >= NARROWEST {
                    self.boxes.push((start, row, at));
                    todo.push((start, row + 1, std::mem::take(&mut self.callees[at])));
                }
                start += self.gas[at];
            }
        }
    }

    /// Gas as tenths of a pixel.
    fn scaled(&self, gas: u64) -> u64 {
        u64::try_from(u128::from(gas) * u128::from(WIDTH) / u128::from(self.total)).unwrap_or(WIDTH)
    }

    fn draw(&self, title: &str) -> String {
        let rows = self.boxes.iter().map(|(_, row, _)| row + 1).max().unwrap_or(0);
        let (width, height) = (WIDTH / 10, TITLE + rows * ROW + 6);
        let mut out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" font-family=\"monospace\" font-size=\"11\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#fdfdf8\"/>\n\
             <text x=\"{}\" y=\"20\" text-anchor=\"middle\" font-size=\"14\">{}</text>\n",
            width / 2,
            escaped(title)
        );
        for (start, row, at) in &self.boxes {
            let top = TITLE + (rows - 1 - row) * ROW;
            self.draw_box(&mut out, *at, self.scaled(*start), top);
        }
        out.push_str("</svg>\n");
        out
    }

    fn draw_box(&self, out: &mut String, at: usize, left: u64, top: usize) {
        let node = &self.profile.nodes[at];
        let (name, wide) = (node.frame.name(), self.scaled(self.gas[at]));
        let share = u128::from(self.gas[at]) * 1_000 / u128::from(self.total);
        let told = format!(
            "{name}: {} gas, {}.{} %; {} gas itself; called {} times; {} ns itself",
            self.gas[at],
            share / 10,
            share % 10,
            node.gas,
            node.calls,
            node.time.as_nanos()
        );
        let letters = usize::try_from(wide.saturating_sub(60) / LETTER).unwrap_or(0);
        let shown = if name.chars().count() <= letters {
            name.to_string()
        } else if letters >= 4 {
            name.chars().take(letters - 2).chain("..".chars()).collect()
        } else {
            String::new()
        };
        // Writing to a String does not fail.
        let _ = writeln!(
            out,
            "<g><title>{}</title><rect x=\"{}\" y=\"{top}\" width=\"{}\" height=\"{}\" fill=\"{}\" stroke=\"#fdfdf8\" stroke-width=\"0.5\"/><text x=\"{}\" y=\"{}\">{}</text></g>",
            escaped(&told),
            decimal(left),
            decimal(wide),
            ROW - 1,
            colour(&node.frame),
            decimal(left + 30),
            top + 13,
            escaped(&shown)
        );
    }
}

fn decimal(tenths: u64) -> String {
    format!("{}.{}", tenths / 10, tenths % 10)
}

/// Warm for functions, each its own shade by its name, so that one is found again in another picture.
fn colour(frame: &Frame) -> String {
    let shade = frame.name().bytes().fold(7u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into())) % 60;
    match frame {
        Frame::Start => "#c8c8c0".into(),
        Frame::Function(_) => format!("hsl({} 85% 68%)", 5 + shade),
        Frame::Host(_) => format!("hsl({} 60% 72%)", 195 + shade / 3),
        Frame::Bulk(_) => "hsl(120 40% 70%)".into(),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use chancery_engine::profile::Node;
    use chancery_types::Gas;
    use std::time::Duration;

    fn node(frame: Frame, caller: Option<usize>, gas: u64) -> Node {
        Node { frame, caller, calls: 1, gas: Gas(gas), time: Duration::ZERO }
    }

    #[test]
    fn boxes_are_as_wide_as_their_gas_and_stand_on_their_callers() {
        let function = |name: &str| Frame::Function(name.into());
        let nodes = vec![
            node(Frame::Start, None, 25),
            node(function("call"), None, 25),
            node(function("Option<&T>::get"), Some(1), 10),
            node(Frame::Host("state_get".into()), Some(2), 40),
        ];
        let picture = svg(&Profile { nodes, stopped: None }, "a & b");
        let rect =
            |x: &str, y: usize, width: &str| format!("<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"17\"");
        for expected in [
            rect("0.0", TITLE + 2 * ROW, "300.0"),
            rect("300.0", TITLE + 2 * ROW, "900.0"),
            rect("300.0", TITLE + ROW, "600.0"),
            rect("300.0", TITLE, "480.0"),
            "state_get: 40 gas, 40.0 %; 40 gas itself".into(),
            ">Option&lt;&amp;T&gt;::get</text>".into(),
            ">a &amp; b</text>".into(),
        ] {
            assert!(picture.contains(&expected), "{expected} in\n{picture}");
        }
    }

    #[test]
    fn an_empty_profile_is_an_empty_picture() {
        assert!(svg(&Profile::default(), "").ends_with("</svg>\n"));
    }
}
