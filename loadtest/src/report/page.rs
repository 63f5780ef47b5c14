//! A page of HTML for people: headings, tables and pictures, nothing from elsewhere.

use std::fmt::Display;

/// Works on a phone's width, in the dark, and on paper; pictures keep their white ground.
const STYLE: &str = "\
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 960px; margin: 2em auto; padding: 0 1em; }
h2 { margin-top: 2em; }
figure { margin: 1em 0; overflow-x: auto; }
figure svg { width: 100%; min-width: 560px; height: auto; background: #fff; border-radius: 6px; }
figcaption { opacity: .8; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; }
th, td { padding: .3em .8em; text-align: right; border-bottom: 1px solid #8884; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
";

/// A page as it grows.
pub struct Page {
    html: String,
}

impl Page {
    /// An empty page of that title.
    #[must_use]
    pub fn new(title: &str) -> Self {
        let title = escaped(title);
        let head = format!(
            "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width\">\n\
             <title>{title}</title>\n<style>\n{STYLE}</style>\n<h1>{title}</h1>\n"
        );
        Self { html: head }
    }

    /// A heading.
    pub fn heading(&mut self, text: &str) {
        self.html += &format!("<h2>{}</h2>\n", escaped(text));
    }

    /// A paragraph.
    pub fn text(&mut self, text: &str) {
        self.html += &format!("<p>{}</p>\n", escaped(text));
    }

    /// A table; the first row is its head. Where it is wider than the screen, keys move it too.
    pub fn table<Row: AsRef<[String]>>(&mut self, rows: &[Row]) {
        self.html += "<div class=\"wide\" tabindex=\"0\"><table>\n";
        for (row, cell) in rows.iter().zip(std::iter::once("th").chain(std::iter::repeat("td"))) {
            let cells =
                row.as_ref().iter().map(|text| format!("<{cell}>{}</{cell}>", escaped(text)));
            self.html += &format!("<tr>{}</tr>\n", cells.collect::<String>());
        }
        self.html += "</table></div>\n";
    }

    /// A picture, and what it shows.
    pub fn picture(&mut self, svg: &str, caption: &str) {
        let caption = escaped(caption);
        self.html += &format!(
            "<figure tabindex=\"0\">\n{svg}\n<figcaption>{caption}</figcaption></figure>\n"
        );
    }

    /// The whole of it.
    #[must_use]
    pub fn html(self) -> String {
        self.html + "</html>\n"
    }
}

fn escaped(text: impl Display) -> String {
    text.to_string().replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_cannot_become_markup() {
        let mut page = Page::new("a <b> & c");
        page.text("<script>");
        page.table(&[["<i>".to_owned()]]);
        page.picture("<svg></svg>", "1 < 2");
        let html = page.html();
        assert!(html.contains("a &lt;b&gt; &amp; c") && html.contains("1 &lt; 2"));
        assert!(!html.contains("<script>") && !html.contains("<i>"));
    }
}
