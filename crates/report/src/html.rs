//! Text made safe for HTML.

/// `text` with the five characters that mean something in HTML replaced, for content and quoted attributes.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_becomes_text() {
        assert_eq!(
            escape("<script a='1' b=\"2\">&amp;</script> λ"),
            "&lt;script a=&#39;1&#39; b=&quot;2&quot;&gt;&amp;amp;&lt;/script&gt; λ"
        );
    }
}
