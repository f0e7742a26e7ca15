//! TwiML: instructions to Twilio, as XML.

use std::fmt::Write as _;

const HEAD: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

/// Connects the call to a stream, and when that ends asks again at `again`.
pub(super) fn connect(stream: &str, parameters: &[(&str, &str)], again: &str) -> String {
    let mut xml = format!(
        "{HEAD}<Response><Connect><Stream url=\"{}\">",
        escape(stream)
    );
    for (name, value) in parameters {
        // Writing to a string cannot fail.
        let _ = write!(
            xml,
            "<Parameter name=\"{}\" value=\"{}\"/>",
            escape(name),
            escape(value)
        );
    }
    xml.push_str("</Stream></Connect>");
    push_redirect(&mut xml, again);
    xml.push_str("</Response>\n");
    xml
}

/// Sends the call elsewhere.
pub(super) fn redirect(url: &str) -> String {
    let mut xml = format!("{HEAD}<Response>");
    push_redirect(&mut xml, url);
    xml.push_str("</Response>\n");
    xml
}

/// Ends the call.
pub(super) fn hang_up() -> String {
    format!("{HEAD}<Response><Hangup/></Response>\n")
}

fn push_redirect(xml: &mut String, url: &str) {
    let url = escape(url);
    let _ = write!(xml, "<Redirect method=\"POST\">{url}</Redirect>");
}

/// Text as it may stand in an element or an attribute. Characters that XML 1.0 has no way to say
/// become U+FFFD.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            // An attribute would take them for spaces.
            '\t' | '\n' | '\r' => {
                let _ = write!(escaped, "&#{};", u32::from(character));
            }
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            plain => escaped.push(plain),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_with_its_parameters_and_the_way_back() {
        let twiml = connect(
            "wss://voice.example.com/media/abc",
            &[("From", "+1555"), ("Name", "<\"Ann\" & 'Bo'>\n\u{1}")],
            "https://voice.example.com/voice?a=1&b=2",
        );
        let expected = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response><Connect>\
            <Stream url=\"wss://voice.example.com/media/abc\">\
            <Parameter name=\"From\" value=\"+1555\"/>\
            <Parameter name=\"Name\" value=\"&lt;&quot;Ann&quot; &amp; &apos;Bo&apos;&gt;&#10;\u{fffd}\"/>\
            </Stream></Connect>\
            <Redirect method=\"POST\">https://voice.example.com/voice?a=1&amp;b=2</Redirect>\
            </Response>\n";
        assert_eq!(twiml, expected);
    }
}
