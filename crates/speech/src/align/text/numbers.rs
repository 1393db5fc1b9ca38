//! English readings of numbers.

const ONES: [&str; 20] = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
];
const TENS: [&str; 10] = [
    "", "ten", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety",
];
const SCALES: [(u64, &str); 4] = [
    (1_000_000_000_000, "trillion"),
    (1_000_000_000, "billion"),
    (1_000_000, "million"),
    (1000, "thousand"),
];

type Words = Vec<String>;

fn one(index: u64) -> &'static str {
    ONES.get(index as usize).copied().unwrap_or("")
}

/// A number in words; `and` as in "one hundred and five".
fn cardinal(number: u64, and: bool) -> Words {
    let mut words = Vec::new();
    let mut rest = number;
    for (scale, name) in SCALES {
        if rest >= scale {
            words.extend(cardinal(rest / scale, and));
            words.push(name.to_owned());
            rest %= scale;
        }
    }
    if rest >= 100 {
        words.push(one(rest / 100).to_owned());
        words.push("hundred".to_owned());
        rest %= 100;
    }
    if rest > 0 && and && !words.is_empty() {
        words.push("and".to_owned());
    }
    if rest > 0 || words.is_empty() {
        words.extend(below_hundred(rest));
    }
    words
}

fn below_hundred(number: u64) -> Words {
    if number < 20 {
        return vec![one(number).to_owned()];
    }
    let mut words = vec![
        TENS.get((number / 10) as usize)
            .copied()
            .unwrap_or("")
            .to_owned(),
    ];
    if !number.is_multiple_of(10) {
        words.push(one(number % 10).to_owned());
    }
    words
}

fn digits(text: &str, zero: &str) -> Words {
    text.chars()
        .filter_map(|c| c.to_digit(10))
        .map(|d| if d == 0 { zero } else { one(d.into()) }.to_owned())
        .collect()
}

/// Two pairs of digits: "nineteen ninety nine", "twenty oh five", "nineteen hundred".
fn pairs(number: u64) -> Words {
    let (high, low) = (number / 100, number % 100);
    let mut words = below_hundred(high);
    match low {
        0 => words.push("hundred".to_owned()),
        1..=9 => {
            words.push("oh".to_owned());
            words.push(one(low).to_owned());
        }
        _ => words.extend(below_hundred(low)),
    }
    words
}

fn with_last(mut words: Words, change: impl Fn(&str) -> String) -> Words {
    if let Some(last) = words.last_mut() {
        *last = change(last);
    }
    words
}

fn ordinal(word: &str) -> String {
    match word {
        "one" => "first".to_owned(),
        "two" => "second".to_owned(),
        "three" => "third".to_owned(),
        "five" => "fifth".to_owned(),
        "eight" => "eighth".to_owned(),
        "nine" => "ninth".to_owned(),
        "twelve" => "twelfth".to_owned(),
        other => match other.strip_suffix('y') {
            Some(stem) => format!("{stem}ieth"),
            None => format!("{other}th"),
        },
    }
}

fn plural(word: &str) -> String {
    match word.strip_suffix('y') {
        Some(stem) => format!("{stem}ies"),
        None if word.ends_with('x') => format!("{word}es"),
        None => format!("{word}s"),
    }
}

/// Ways to read a whole number written with plain digits.
fn whole(text: &str) -> Vec<Words> {
    let Ok(number) = text.parse::<u64>() else {
        return vec![digits(text, "zero"), digits(text, "oh")];
    };
    let mut ways = Vec::new();
    let length = text.len();
    if length > 1 && text.starts_with('0') {
        return vec![digits(text, "zero"), digits(text, "oh")];
    }
    if length == 4 && number % 1000 != 0 && (number / 100) % 10 != 0 {
        ways.push(pairs(number));
    }
    ways.push(cardinal(number, false));
    if number > 100 {
        ways.push(cardinal(number, true));
    }
    if length == 4 {
        ways.push(pairs(number));
    }
    if length == 3 && number % 100 != 0 {
        let mut words = vec![one(number / 100).to_owned()];
        if number % 100 < 10 {
            words.push("oh".to_owned());
        }
        words.extend(below_hundred(number % 100));
        ways.push(words);
    }
    if length > 1 {
        ways.push(digits(text, "zero"));
        ways.push(digits(text, "oh"));
    }
    let mut unique = Vec::new();
    for way in ways {
        if !unique.contains(&way) {
            unique.push(way);
        }
    }
    unique
}

fn push(ways: Vec<Words>, more: &[&str]) -> Vec<Words> {
    ways.into_iter()
        .map(|mut way| {
            way.extend(more.iter().map(|&w| w.to_owned()));
            way
        })
        .collect()
}

/// The ways to read a written number with its signs; empty for what is no number (then it is read in pieces).
pub(super) fn readings(written: &str) -> Vec<Words> {
    let text = written.replace(',', "");
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest.to_owned()),
        None => (false, text),
    };
    let unit = match text.chars().next() {
        Some('$') => Some(("dollar", "cent")),
        Some('£') => Some(("pound", "penny")),
        Some('€') => Some(("euro", "cent")),
        _ => None,
    };
    let text = text.trim_start_matches(['$', '£', '€', '#', '+']);
    let (text, percent) = match text.strip_suffix('%') {
        Some(rest) => (rest, true),
        None => (text, false),
    };
    let mut ways = plain(text, unit);
    if percent {
        ways = push(ways, &["percent"]);
    }
    if negative {
        for way in &mut ways {
            way.insert(0, "minus".to_owned());
        }
    }
    ways.truncate(6);
    ways
}

fn plain(text: &str, unit: Option<(&str, &str)>) -> Vec<Words> {
    let is_digits =
        |t: &str| !t.is_empty() && t.len() <= 40 && t.chars().all(|c| c.is_ascii_digit());
    if is_digits(text) {
        let ways = whole(text);
        return match unit {
            Some((one, _)) if text == "1" => push(ways, &[one]),
            Some((many, _)) => push(ways, &[&plural(many)]),
            None => ways,
        };
    }
    if let Some((hours, minutes)) = text.split_once(':')
        && is_digits(hours)
        && minutes.len() == 2
        && is_digits(minutes)
    {
        let hour = whole(hours).into_iter().next().unwrap_or_default();
        let tail = match minutes.parse::<u64>() {
            Ok(0) => vec!["o'clock".to_owned()],
            Ok(n @ 1..=9) => vec!["oh".to_owned(), one(n).to_owned()],
            Ok(n) => below_hundred(n.min(99)),
            Err(_) => Vec::new(),
        };
        let mut ways = vec![[hour.clone(), tail].concat()];
        if minutes == "00" {
            ways.push(hour.clone());
            ways.push([hour, vec!["hundred".to_owned()]].concat());
        }
        return ways;
    }
    if let Some((before, after)) = text.split_once('.')
        && (is_digits(before) || before.is_empty())
        && is_digits(after)
    {
        let front = if before.is_empty() {
            Vec::new()
        } else {
            whole(before).into_iter().next().unwrap_or_default()
        };
        if let Some((name, small)) = unit {
            let cents = after.parse::<u64>().unwrap_or(0).min(99);
            let large = if before == "1" {
                name.to_owned()
            } else {
                plural(name)
            };
            let coin = if cents == 1 {
                small.to_owned()
            } else if small == "penny" {
                "pence".to_owned()
            } else {
                plural(small)
            };
            let full = [
                front.clone(),
                vec![large.clone(), "and".to_owned()],
                below_hundred(cents),
                vec![coin.clone()],
            ]
            .concat();
            let short = [front.clone(), below_hundred(cents)].concat();
            let without = [front, vec![large], below_hundred(cents), vec![coin]].concat();
            return vec![full, without, short];
        }
        let point =
            |zero: &str| [front.clone(), vec!["point".to_owned()], digits(after, zero)].concat();
        return vec![point("zero"), point("oh")];
    }
    for suffix in ["st", "nd", "rd", "th"] {
        if let Some(number) = text.strip_suffix(suffix)
            && is_digits(number)
        {
            let n = number.parse().unwrap_or(0);
            return [cardinal(n, false), cardinal(n, true)]
                .into_iter()
                .map(|words| with_last(words, ordinal))
                .collect();
        }
    }
    for suffix in ["'s", "s"] {
        if let Some(number) = text.strip_suffix(suffix)
            && is_digits(number)
        {
            return whole(number)
                .into_iter()
                .map(|words| with_last(words, plural))
                .collect();
        }
    }
    Vec::new()
}
