//! Small plots as SVG: a unit square with a line or dots, bars with names, curves over steps. Written by hand, because these do not pay
//! for a plotting library; colours come from the page's style sheet.

use std::fmt::Write;

/// Side of the unit square, px.
const SIDE: f64 = 300.0;
/// Space for labels, px.
const LEFT: f64 = 52.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 44.0;

/// What is drawn in a unit square, in data coordinates 0..1.
pub enum Mark {
    Line(Vec<(f64, f64)>),
    /// `(x, y, weight 0..1)`: the area of a dot is its weight's.
    Dots(Vec<(f64, f64, f64)>),
}

/// A plot of the unit square with its diagonal.
pub fn square(title: &str, x_label: &str, y_label: &str, marks: &[Mark]) -> String {
    let (px, py) = (|x: f64| LEFT + x.clamp(0.0, 1.0) * SIDE, |y: f64| TOP + (1.0 - y.clamp(0.0, 1.0)) * SIDE);
    let mut out = open(title, LEFT + SIDE + 16.0, TOP + SIDE + BOTTOM);
    for i in 0..=4 {
        let v = f64::from(i) / 4.0;
        let _ = write!(out, r#"<path class="grid" d="M{} {}H{}M{} {}V{}"/>"#, px(0.0), py(v), px(1.0), px(v), py(0.0), py(1.0));
        let _ = write!(out, r#"<text x="{}" y="{}" text-anchor="end">{v}</text>"#, px(0.0) - 6.0, py(v) + 4.0);
        let _ = write!(out, r#"<text x="{}" y="{}" text-anchor="middle">{v}</text>"#, px(v), py(0.0) + 16.0);
    }
    let _ = write!(out, r#"<path class="diagonal" d="M{} {}L{} {}"/>"#, px(0.0), py(0.0), px(1.0), py(1.0));
    for mark in marks {
        match mark {
            Mark::Line(points) => {
                let path: Vec<String> = points.iter().map(|(x, y)| format!("{:.1} {:.1}", px(*x), py(*y))).collect();
                if !path.is_empty() {
                    let _ = write!(out, r#"<path class="line" d="M{}"/>"#, path.join("L"));
                }
            }
            Mark::Dots(dots) => {
                for (x, y, weight) in dots {
                    let radius = 3.0 + 13.0 * weight.clamp(0.0, 1.0).sqrt();
                    let _ = write!(out, r#"<circle class="dot" cx="{:.1}" cy="{:.1}" r="{radius:.1}"/>"#, px(*x), py(*y));
                }
            }
        }
    }
    let _ = write!(out, r#"<text class="label" x="{}" y="{}" text-anchor="middle">{}</text>"#, px(0.5), py(0.0) + 36.0, escape(x_label));
    let (x, y) = (16.0, py(0.5));
    let _ = write!(
        out,
        r#"<text class="label" x="{x}" y="{y}" text-anchor="middle" transform="rotate(-90 {x} {y})">{}</text>"#,
        escape(y_label)
    );
    out + "</svg>"
}

/// Horizontal bars from 0 to 1 with names and values; a bar without a value is named all the same.
pub fn bars(title: &str, rows: &[(String, Option<f64>, String)]) -> String {
    const ROW: f64 = 26.0;
    let (left, width) = (150.0, 260.0);
    let mut out = open(title, left + width + 170.0, ROW * rows.len() as f64 + 12.0);
    for (i, (name, value, note)) in rows.iter().enumerate() {
        let y = 6.0 + ROW * i as f64;
        let _ = write!(out, r#"<text x="{}" y="{}" text-anchor="end">{}</text>"#, left - 8.0, y + 16.0, escape(name));
        let _ = write!(out, r#"<rect class="track" x="{left}" y="{}" width="{width}" height="16"/>"#, y + 3.0);
        if let Some(v) = value {
            let _ = write!(out, r#"<rect class="bar" x="{left}" y="{}" width="{:.1}" height="16"/>"#, y + 3.0, v.clamp(0.0, 1.0) * width);
        }
        let shown = value.map_or("–".to_string(), |v| format!("{v:.3}"));
        let _ = write!(out, r#"<text x="{}" y="{}">{shown} {}</text>"#, left + width + 8.0, y + 16.0, escape(note));
    }
    out + "</svg>"
}

/// A figure over steps: every point thin, smoothed thick (`keep` of each new point; 1 = not smoothed). Points that are no
/// number are left out.
pub fn curve(title: &str, points: &[(f64, f64)], keep: f64) -> String {
    const WIDTH: f64 = 230.0;
    const HEIGHT: f64 = 120.0;
    let points: Vec<(f64, f64)> = points.iter().copied().filter(|p| p.1.is_finite()).collect();
    let range = |of: &dyn Fn(&(f64, f64)) -> f64| {
        let (low, high) = points.iter().map(of).fold((f64::MAX, f64::MIN), |r, v| (r.0.min(v), r.1.max(v)));
        (low, (high - low).max(1e-9))
    };
    let (x, y) = (range(&|p| p.0), range(&|p| p.1));
    let at = |p: (f64, f64)| format!("{:.1} {:.1}", LEFT + (p.0 - x.0) / x.1 * WIDTH, TOP + 14.0 + (1.0 - (p.1 - y.0) / y.1) * HEIGHT);
    let mut out = open(title, LEFT + WIDTH + 12.0, TOP + HEIGHT + 34.0);
    let _ = write!(out, r#"<text x="{LEFT}" y="12">{}</text>"#, escape(title));
    let (top, bottom) = (TOP + 14.0, TOP + 14.0 + HEIGHT);
    let _ = write!(out, r#"<path class="grid" d="M{LEFT} {top}H{0}M{LEFT} {bottom}H{0}"/>"#, LEFT + WIDTH);
    if points.is_empty() {
        return out + "</svg>";
    }
    for (value, height) in [(y.0 + y.1, top), (y.0, bottom)] {
        let _ = write!(out, r#"<text x="{}" y="{}" text-anchor="end">{value:.3}</text>"#, LEFT - 6.0, height + 4.0);
    }
    let _ = write!(out, r#"<text x="{}" y="{}" text-anchor="end">step {}</text>"#, LEFT + WIDTH, bottom + 16.0, x.0 + x.1);
    let path = |points: &mut dyn Iterator<Item = (f64, f64)>| points.map(at).collect::<Vec<_>>().join("L");
    let mut mean = points[0].1;
    let smooth = path(&mut points.iter().map(|p| {
        mean += keep * (p.1 - mean);
        (p.0, mean)
    }));
    if keep < 1.0 {
        let _ = write!(out, r#"<path class="thin" d="M{}"/>"#, path(&mut points.iter().copied()));
    }
    let _ = write!(out, r#"<path class="line" d="M{smooth}"/>"#);
    out + "</svg>"
}

fn open(title: &str, width: f64, height: f64) -> String {
    let title = escape(title);
    format!(
        r#"<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" aria-label="{title}"><title>{title}</title>"#
    )
}

/// Text for HTML and SVG.
pub fn escape(text: &str) -> String {
    text.chars().fold(String::new(), |mut out, c| {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            _ => out.push(c),
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn corners_lie_where_they_should() {
        let svg = square("t", "x", "y", &[Mark::Line(vec![(0.0, 0.0), (1.0, 1.0)]), Mark::Dots(vec![(0.5, 0.5, 1.0)])]);
        assert!(svg.contains(r#"<path class="line" d="M52.0 314.0L352.0 14.0"/>"#), "{svg}");
        assert!(svg.contains(r#"cx="202.0" cy="164.0" r="16.0""#), "{svg}");
    }

    #[test]
    fn a_curve_spans_its_values() {
        let svg = curve("loss", &[(0.0, 4.0), (5.0, f64::NAN), (10.0, 2.0)], 1.0);
        assert!(svg.contains(r#"d="M52.0 28.0L282.0 148.0"/>"#) && svg.contains(">4.000<") && svg.contains("step 10"), "{svg}");
        assert!(curve("none", &[], 0.1).ends_with("</svg>"));
    }

    #[test]
    fn text_cannot_become_markup() {
        let svg = bars("<b>", &[("<script>".into(), None, "\"&".into()), ("a".into(), Some(0.5), "".into())]);
        assert!(
            !svg.contains("<script>") && !svg.contains("<b>") && svg.contains("&quot;&amp;") && svg.contains(r#"width="130.0""#),
            "{svg}"
        );
    }
}
