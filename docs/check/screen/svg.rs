//! A screen as an image: text in SVG, in the colours that it was shown in.

use std::fmt::Write as _;

use vt100::{Cell, Color, Screen};

const WIDTH: f64 = 8.4;
const HEIGHT: u16 = 18;
const EDGE: u16 = 14;
const BACKGROUND: &str = "#1e1e2e";
const FOREGROUND: &str = "#cdd6f4";
/// The sixteen colours of a terminal.
const COLOURS: [&str; 16] = [
    "#45475a", "#f38ba8", "#a6e3a1", "#f9e2af", "#89b4fa", "#f5c2e7", "#94e2d5", "#bac2de", "#7f849c",
    "#f38ba8", "#a6e3a1", "#f9e2af", "#89b4fa", "#f5c2e7", "#94e2d5", "#ffffff",
];

/// The screen up to its last line with anything on it.
#[must_use]
pub fn image(screen: &Screen, title: &str) -> String {
    let columns = screen.size().1.get();
    let last = screen.rows(0, columns).collect::<Vec<_>>().iter().rposition(|row| !row.trim().is_empty());
    let rows = u16::try_from(last.map_or(1, |last| last + 1)).unwrap_or(u16::MAX);
    let (width, height) = (f64::from(columns) * WIDTH + 2.0 * f64::from(EDGE), rows * HEIGHT + 2 * EDGE);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height}\" viewBox=\"0 0 {width:.0} {height}\" \
         role=\"img\" aria-label=\"{}\">\n<rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"{BACKGROUND}\"/>\n\
         <g font-family=\"ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace\" font-size=\"14\" \
         fill=\"{FOREGROUND}\" xml:space=\"preserve\" style=\"white-space:pre\">\n",
        escaped(title)
    );
    for row in 0..rows {
        let y = EDGE + row * HEIGHT + 13;
        for (column, style, text) in runs(screen, row, columns) {
            let x = f64::from(EDGE) + f64::from(column) * WIDTH;
            let length = f64::from(u16::try_from(text.chars().count()).unwrap_or(0)) * WIDTH;
            let _ = writeln!(
                svg,
                "<text x=\"{x:.1}\" y=\"{y}\" textLength=\"{length:.1}\"{style}>{}</text>",
                escaped(&text)
            );
        }
    }
    svg + "</g>\n</svg>\n"
}

/// Neighbours of one style, without blanks at their end.
fn runs(screen: &Screen, row: u16, columns: u16) -> Vec<(u16, String, String)> {
    let mut runs: Vec<(u16, String, String)> = Vec::new();
    for column in 0..columns {
        let Some(cell) = screen.cell(row, column).filter(|cell| !cell.is_wide_continuation()) else {
            continue;
        };
        let text = if cell.has_contents() { cell.contents() } else { " " };
        let style = style(cell);
        match runs.last_mut() {
            Some((_, last, so_far)) if *last == style => so_far.push_str(text),
            _ => runs.push((column, style, text.to_owned())),
        }
    }
    for (_, _, text) in &mut runs {
        text.truncate(text.trim_end().len());
    }
    runs.retain(|(_, _, text)| !text.is_empty());
    runs
}

fn style(cell: &Cell) -> String {
    let mut style = String::new();
    match cell.fgcolor() {
        Color::Default => {}
        Color::Idx(number) => {
            let colour = COLOURS.get(usize::from(number)).unwrap_or(&FOREGROUND);
            let _ = write!(style, " fill=\"{colour}\"");
        }
        Color::Rgb(red, green, blue) => {
            let _ = write!(style, " fill=\"#{red:02x}{green:02x}{blue:02x}\"");
        }
    }
    if cell.bold() {
        style += " font-weight=\"bold\"";
    }
    if cell.dim() {
        style += " opacity=\"0.7\"";
    }
    style
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
