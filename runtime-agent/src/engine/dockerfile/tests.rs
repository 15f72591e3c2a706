//! What Dockerfiles mean and why they are refused; and that nothing makes the parser fall over.

use super::expand;
use super::words::words;
use super::*;

fn parse(text: &str) -> Result<Stages, Refused> {
    stages(&read(text.as_bytes())?)
}

fn only(text: &str) -> Instruction {
    parse_instruction(text, '\\').unwrap_or_else(|why| panic!("{text}: {why}"))
}

fn texts(list: &[&str]) -> Vec<String> {
    list.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn lines_are_joined_and_comments_left_out() {
    let text =
        "\u{feff}# a comment\n\n  FROM a\nRUN one \\\n  # inside\n  two \\  \n\n  three\n# end\nCMD x\\";
    let lines = read(text.as_bytes()).unwrap();
    let found: Vec<_> = lines.lines.iter().map(|line| (line.number, line.text.as_str())).collect();
    assert_eq!(found, [(3, "FROM a"), (4, "RUN one   two   three"), (10, "CMD x")]);
    assert!(lines.warnings[0].starts_with("[WARNING]: Empty continuation line found in:\n    RUN one"));
    assert_eq!(lines.warnings.len(), 2);
    assert_eq!(read(b"# only\n").unwrap_err(), "file with no instructions");
    assert!(read("x".repeat(70_000).as_bytes()).unwrap_err().contains("maximum allowed size"));
}

#[test]
fn the_escape_can_be_chosen_once_and_at_the_top() {
    let lines = read(b"# syntax=x\n# Escape = `\nFROM a\nRUN a `\n b \\\n").unwrap();
    assert_eq!((lines.escape, lines.lines[1].text.as_str()), ('`', "RUN a  b \\"));
    assert_eq!(read(b"# note\n# escape=`\nFROM a\n").unwrap().escape, '\\', "too late");
    assert!(read(b"# escape=x\nFROM a").unwrap_err().contains("Must be ` or \\"));
    assert!(read(b"# escape=`\n# escape=`\nFROM a").unwrap_err().contains("only one escape"));
}

#[test]
fn every_instruction_is_read() {
    let shell = |text: &str| CommandLine { words: texts(&[text]), for_shell: true };
    let list = |words: &[&str]| CommandLine { words: texts(words), for_shell: false };
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    assert_eq!(only("run echo  \"a\" "), Instruction::Run(shell("echo  \"a\"")));
    assert_eq!(only(r#"CMD ["a", "b c"] rest"#), Instruction::Cmd(list(&["a", "b c"])));
    assert_eq!(only("CMD [a]"), Instruction::Cmd(shell("[a]")));
    assert_eq!(only("CMD []"), Instruction::Cmd(list(&[])));
    assert_eq!(only("ENTRYPOINT x y"), Instruction::Entrypoint(shell("x y")));
    assert_eq!(only("ENV a b  c"), Instruction::Env(vec![pair("a", "b  c")]));
    assert_eq!(
        only(r#"LABEL a=1 "b c"="d""#),
        Instruction::Label(vec![pair("a", "1"), pair("\"b c\"", "\"d\"")])
    );
    assert_eq!(only("ARG a b=c"), Instruction::Arg(vec![("a".into(), None), ("b".into(), Some("c".into()))]));
    assert_eq!(only("EXPOSE 80 53/udp"), Instruction::Expose(texts(&["53/udp", "80"])));
    assert_eq!(only("VOLUME /a /b"), Instruction::Volume(texts(&["/a", "/b"])));
    assert_eq!(only(r#"VOLUME ["/a b"]"#), Instruction::Volume(texts(&["/a b"])));
    assert_eq!(only("WORKDIR /a b"), Instruction::WorkDir("/a b".into()));
    assert_eq!(only(r#"SHELL ["/bin/x","-c"]"#), Instruction::Shell(texts(&["/bin/x", "-c"])));
    assert_eq!(only("ONBUILD RUN x"), Instruction::OnBuild("RUN x".into()));
    let from = only("FROM --platform=linux/arm64 a:1 AS Base");
    let (name, platform) = (Some("base".into()), Some("linux/arm64".into()));
    assert_eq!(from, Instruction::From { base: "a:1".into(), name, platform });
    let copy = only(r#"COPY --from=0 --chown=a:b ["x y", "/z/"]"#);
    let (from, owner) = (Some("0".into()), Some("a:b".into()));
    assert_eq!(
        copy,
        Instruction::Copy(Transfer { sources: texts(&["x y"]), destination: "/z/".into(), from, owner })
    );
    let Instruction::Healthcheck(check) = only("HEALTHCHECK --interval=5s --retries=3 CMD a b") else {
        panic!()
    };
    assert_eq!((check.test, check.interval, check.retries), (texts(&["CMD-SHELL", "a b"]), 5_000_000_000, 3));
}

#[test]
fn what_is_wrong_is_named_with_its_line() {
    for (text, why) in [
        ("FROM a\nMOVE b", "dockerfile parse error line 2: unknown instruction: MOVE"),
        ("RUN x", "line 1: no build stage in current context"),
        ("FROM", "FROM requires either one or three arguments"),
        ("FROM a AS 1x", "invalid name for build stage"),
        ("FROM a\nCOPY x", "COPY requires at least two arguments, but only one was provided"),
        ("FROM a\nENV x", "ENV must have two arguments"),
        ("FROM a\nENV x=1 y", "Syntax error - can't find = in \"y\""),
        ("FROM a\nENV =1", "ENV names can not be blank"),
        ("FROM a\nRUN", "RUN requires at least one argument"),
        ("FROM a\nUSER", "USER requires exactly one argument"),
        ("FROM a\nCMD [1]", "arrays must be comprised of strings only"),
        ("FROM a\nSHELL x", "SHELL requires the arguments to be in JSON form"),
        ("FROM a\nADD --from=b c d", "Unknown flag: from"),
        ("FROM a\nCOPY --from b c", "Missing a value on flag: from"),
        ("FROM a\nCOPY --from=b --from=b c d", "Duplicate flag specified: from"),
        ("FROM a\nRUN --mount=type=cache x", "the --mount option requires BuildKit: make a builder with"),
        ("FROM a\nCOPY --chmod=1 b c", "the --chmod option requires BuildKit"),
        (
            "FROM a\nRUN <<EOF\necho x\nEOF",
            "line 3: unknown instruction: ECHO (a here-document requires BuildKit",
        ),
        ("FROM a\nONBUILD ONBUILD x", "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed"),
        ("FROM a\nONBUILD from x", "FROM isn't allowed as an ONBUILD trigger"),
        ("FROM a\nHEALTHCHECK x", "Unknown type \"X\" in HEALTHCHECK (try CMD)"),
        ("FROM a\nHEALTHCHECK --retries=0 CMD x", "--retries must be at least 1 (not 0)"),
        ("FROM a\nHEALTHCHECK --interval=1us CMD x", "cannot be less than 1ms"),
        ("FROM a\nHEALTHCHECK CMD", "Missing command after HEALTHCHECK CMD"),
    ] {
        let refused = parse(text).unwrap_err();
        assert!(refused.contains(why), "{text}: {refused}");
    }
}

#[test]
fn a_target_is_a_name_or_a_number() {
    let all = parse("ARG v\nFROM a AS One\nRUN x\nFROM b\nFROM c AS three").unwrap();
    assert_eq!((all.steps(), all.before.len(), all.stages.len()), (5, 1, 3));
    let to = |target: &str| {
        let mut some = all.clone();
        some.only_to(target).map(|()| some.stages.len())
    };
    assert_eq!((to("ONE"), to("1"), to("three")), (Ok(1), Ok(2), Ok(3)));
    assert_eq!(to("3").unwrap_err(), "failed to reach build target 3 in Dockerfile");
}

#[test]
fn variables_are_replaced_as_the_classic_builder_does() {
    let lookup = |name: &str| match name {
        "A" => Some("one".to_owned()),
        "E" => Some(String::new()),
        "P" => Some("80 443".to_owned()),
        _ => None,
    };
    for (source, result) in [
        ("$A-${A}", "one-one"),
        ("a$", "a$"),
        ("'$A' \"$A\"", "$A one"),
        (r"\$A \\ \a", r"$A \ a"),
        (r#""\$A \a \"""#, r#"$A \a ""#),
        ("${N:-x$A}${E:-y}${A:-z}", "xoneyone"),
        ("${N-x}${E-y}|${A+z}${N+z}${E:+z}", "x|z"),
        ("${A:+b}${N:+b}", "b"),
        ("$1a$?", "a"),
        ("$Aé", ""),
        ("a\\", "a"),
    ] {
        assert_eq!(expand::word(source, '\\', &lookup).as_deref(), Ok(result), "{source}");
    }
    for (source, why) in [
        ("${A", "failed to process \"${A\": syntax error: missing '}'"),
        ("${}", "bad substitution"),
        ("${A:=x}", "unsupported modifier (=) in substitution"),
        ("${A/x/y}", "missing ':' in substitution"),
        ("'a", "looking for matching single-quote"),
        ("\"a", "looking for matching double-quote"),
        ("${N:?must be}", "N: must be"),
    ] {
        let refused = expand::word(source, '\\', &lookup).unwrap_err();
        assert!(refused.contains(why), "{source}: {refused}");
    }
    assert_eq!(expand::split("$P 8080", '\\', &lookup).unwrap(), ["80", "443", "8080"]);
    assert_eq!(expand::split("\"$P\"", '\\', &lookup).unwrap(), ["80 443"]);
    let deep = "${N:-".repeat(30_000);
    assert!(expand::word(&deep, '\\', &lookup).unwrap_err().contains("nested more than"));
}

#[test]
fn words_keep_their_quotes_and_escapes() {
    assert_eq!(words(r#"a "b c" d\ e 'f"' g\"#, '\\'), ["a", "\"b c\"", r"d\ e", "'f\"'", "g"]);
    assert_eq!(words("\"\" x", '\\'), ["\"\"", "x"]);
}

#[test]
fn fuzz_dockerfiles_are_read_or_refused() {
    bolero::check!().for_each(|bytes: &[u8]| {
        let Ok(lines) = read(bytes) else { return };
        let lookup = |name: &str| (name.len() < 3).then(|| "a b".to_owned());
        for line in &lines.lines {
            assert!(!line.text.contains('\n') && line.number > 0);
            if let Ok(pieces) = expand::split(&line.text, lines.escape, &lookup) {
                assert!(expand::word(&line.text, lines.escape, &lookup).is_ok() || pieces.is_empty());
            }
        }
        if let Ok(found) = stages(&lines) {
            assert_eq!(found.steps(), lines.lines.len(), "every line is one step");
            assert_eq!(stages(&lines), Ok(found));
        }
    });
}
