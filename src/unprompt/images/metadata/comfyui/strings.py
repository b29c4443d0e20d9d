"""The kinds of nodes that make texts: one rule for each, by the kind's name as `graph.normal` writes it.

Sources: comfy_extras/nodes_string.py of ComfyUI, and the packages that are named beside the rules.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable, Mapping

from unprompt.images.metadata.comfyui.calls import Call, Rule
from unprompt.images.metadata.comfyui.values import (
    EMPTY,
    TEXT_LIMIT,
    Text,
    Value,
    either,
    joined,
    mapped,
    replaced,
    text_of,
)

_MATCHES_LIMIT = 10_000
_LINE_LIMIT = 10_000
_TOKEN_LIMIT = 100
_ODD_REFERENCE = re.compile(r"\\g(?!<(?:\d{1,2}|[a-zA-Z_]\w{0,30})>)", re.ASCII)
_CASES: Mapping[str, Callable[[str], str]] = {
    "uppercase": str.upper,
    "upper": str.upper,
    "lowercase": str.lower,
    "lower": str.lower,
    "capitalize": str.capitalize,
    "titlecase": str.title,
    "title": str.title,
    "invertcase": str.swapcase,
    "reverse": lambda text: text[::-1],
    "trim": str.strip,
    "removespaces": lambda text: text.replace(" ", ""),
    "both": str.strip,
    "left": str.lstrip,
    "right": str.rstrip,
}


def same(*names: str) -> Rule:
    """A rule that hands on the first of these inputs that is there."""

    def rule(call: Call) -> Value:
        return next((call.value(name) for name in names if call.has(name)), None)

    return rule


def by_output(*names: str) -> Rule:
    """A rule that hands on one input for each output."""

    def rule(call: Call) -> Value:
        return call.value(names[call.output]) if 0 <= call.output < len(names) else None

    return rule


def join(*names: str, by: str = "delimiter", without_empty: bool = False, default: str = "") -> Rule:
    """A rule that joins the inputs whose names start so, in the order of these starts; `by` names the separator."""

    def rule(call: Call) -> Value:
        found = [name for start in names for name in sorted(call.names(start), key=_natural)]
        texts = [text for name in dict.fromkeys(found) if name != by for text in call.items(name)]
        if without_empty:
            texts = [text for text in texts if text.plain.strip()]
        return joined(texts, _separator(call.plain(by, default)))

    return rule


def replace(*pairs: tuple[str, str], text: str = "string") -> Rule:
    """A rule that replaces plain texts, pair by pair of inputs (find, put)."""

    def rule(call: Call) -> Value:
        found = call.text(text)
        for find, put in pairs:
            if call.has(find):
                found = replaced(found, call.plain(find), call.text(put))
        return found

    return rule


def case(*, text: str, by: str) -> Rule:
    """A rule that changes the case or the ends of a text, by an input that says how."""

    def rule(call: Call) -> Value:
        change = _CASES.get(re.sub(r"[\s_]+", "", call.plain(by)[:40]).lower())
        return mapped(change, call.text(text)) if change else call.text(text)

    return rule


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(part[:9]), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


def _separator(text: str) -> str:
    return text.replace("\\n", "\n").replace("\\t", "\t")


def _substring(call: Call) -> Value:
    start, end = call.whole("start"), call.whole("end")
    return mapped(lambda words: words[start:end], call.text("string"))


def _flags(call: Call) -> int:
    flags = 0
    for name, flag, default in (
        ("case_insensitive", re.IGNORECASE, 1),
        ("multiline", re.MULTILINE, 0),
        ("dotall", re.DOTALL, 0),
    ):
        flags |= flag if call.whole(name, default) else 0
    return flags


def substituted(call: Call, text: Text, pattern: str, put: str, flags: int = 0, count: int = 0) -> Text:
    """The text after a replacement by a regular expression.

    A pattern that could take long is not run: the text stays as it is, and is marked as not certain.
    """
    refused = False

    def change(words: str) -> str:
        nonlocal refused
        compiled = call.evaluator.pattern(pattern, words, flags)
        refused = refused or compiled is None
        if compiled is None or _ODD_REFERENCE.search(put) or _growth(compiled, words, put) > TEXT_LIMIT:
            return words
        try:
            return compiled.sub(put, words, count=max(0, count))
        except (re.error, IndexError):
            return words

    changed = mapped(change, text)
    return dataclasses.replace(changed, drawn=True) if refused else changed


def _growth(compiled: re.Pattern[str], words: str, put: str) -> int:
    """The most characters that a replacement can make: each reference repeats no more than was matched."""
    matches = sum(1 for _ in compiled.finditer(words))
    return matches * len(put) + len(words) * (1 + put.count("\\"))


def _some(matches: Iterable[re.Match[str]]) -> Iterable[re.Match[str]]:
    for index, match in enumerate(matches):
        if index >= _MATCHES_LIMIT:
            return
        yield match


def _regex_replace(call: Call) -> Value:
    put, count = call.plain("replace"), call.whole("count")
    return substituted(call, call.text("string"), call.plain("regex_pattern"), put, _flags(call), count)


def _regex_extract(call: Call) -> Value:
    text, mode, index = call.text("string"), call.plain("mode"), call.whole("group_index", 1)
    compiled = call.evaluator.pattern(call.plain("regex_pattern"), text.plain, _flags(call))
    if compiled is None:
        return dataclasses.replace(text, drawn=True)
    grouped, all_of_them = "Group" in mode, mode.startswith("All")
    if grouped and not 0 <= index <= compiled.groups:
        return EMPTY
    group = index if grouped else min(1, compiled.groups) if all_of_them else 0
    found = [match[group] or "" for match in _some(compiled.finditer(text.plain))]
    words = "\n".join(found) if all_of_them else "".join(found[:1])
    return mapped(lambda _: words, dataclasses.replace(text, others=()))


def _format(call: Call) -> Value:
    """Texts put in place of `{name}`; `{}` and `{0}` count through the inputs."""
    form = next((name for name in ("f_string", "format_string", "template", "format", "fmt") if call.has(name)), "")
    text = call.text(form)
    others = [name for name in call.raw if name != form]
    for index, name in enumerate(others):
        short = name.rpartition(".")[2]
        for mark in ("{" + short + "}", "{{" + short + "}}", "{" + str(index) + "}", "[" + short + "]"):
            text = replaced(text, mark, call.text(name))
    return text


# WAS Node Suite


def _without_comments(text: Text) -> Text:
    return mapped(
        lambda words: "\n".join(line for line in words.split("\n") if not line.lstrip().startswith("#")), text
    )


def _was_text(call: Call) -> Value:
    return _with_tokens(call, _without_comments(call.text("text")))


def _with_tokens(call: Call, text: Text) -> Text:
    """The text with the tokens that other nodes of the graph set, such as `[hair]`."""
    if "[" not in text.plain:
        return text
    for node in call.evaluator.named("textaddtokenbyinput")[:_TOKEN_LIMIT]:
        token = Call(call.evaluator, node, 0)
        text = replaced(text, token.plain("token_name"), token.text("token_value"))
    return text


def _was_join(call: Call) -> Value:
    names = sorted(name for name in call.raw if re.fullmatch(r"text(_?\w)?", name))
    texts = [call.text(name) for name in names]
    if call.plain("clean_whitespace", "false").lower() == "true":
        texts = [mapped(str.strip, text) for text in texts]
    broken = call.plain("linebreak_addition") == "true"  # releases before the delimiter
    default = "\n" if broken else "" if call.has("linebreak_addition") else ", "
    return joined([text for text in texts if text.plain], _separator(call.plain("delimiter", default)))


def _was_replace(call: Call) -> Value:
    return substituted(call, call.text("text"), call.plain("find"), call.plain("replace"))


def _was_replace_all(call: Call) -> Value:
    text, find, put = call.text("text"), call.plain("find"), call.text("replace")
    for _ in range(5):
        if not find or find not in text.plain:
            break
        text = replaced(text, find, put)
    return text


def _was_random_line(call: Call) -> Value:
    """Python's own generator, whose choice depends on the seed alone."""
    lines, seed = call.plain("text").split("\n"), call.number("seed")
    if seed is None:
        return _drawn(text_of(line) for line in lines)
    from random import Random  # takes a while to import, and is seldom needed

    return text_of(Random(int(seed)).choice(lines), call.node.label)


def _was_line(call: Call) -> Value:
    lines = call.plain("multiline_text").strip().split("\n")
    if call.plain("mode") != "index":
        return _drawn(text_of(line, call.node.label) for line in lines)
    index = call.whole("index")
    return text_of(lines[index], call.node.label) if 0 <= index < len(lines) else EMPTY


def _was_truncate(call: Call) -> Value:
    name = ("text", "text_b", "text_c", "text_d")[call.output if 0 <= call.output < 4 else 0]
    size, by_words = call.whole("truncate_to"), call.plain("truncate_by") == "words"
    head = (call.plain("truncate_from", "end") == "beginning") == (size >= 0)
    part = slice(None, size) if head else slice(-abs(size), None)

    def cut(words: str) -> str:
        return " ".join(words.split()[part]) if by_words else words[part]

    return mapped(cut, call.text(name))


def _texts(*starts: str) -> Rule:
    def rule(call: Call) -> Value:
        names = sorted(call.names(*starts), key=_natural)
        return tuple(text for name in names for text in call.items(name) if text.plain)[:_LINE_LIMIT]

    return rule


# Comfyroll


def _cr_multiline(call: Call) -> Value:
    text = mapped(lambda words: words.rstrip(","), call.text("text"))
    if call.whole("convert_from_csv") or call.whole("split_string"):
        return mapped(lambda words: "\n".join(part.strip(" '\"") for part in words.split(",")), text)
    if call.whole("remove_chars") and call.has("chars_to_remove"):
        text = mapped(lambda words: words.replace(call.plain("chars_to_remove"), ""), text)
    return _without_comments(text)


def _cr_split(call: Call) -> Value:
    parts = call.plain("text").split(call.plain("delimiter") or "\0")[:4]
    return text_of(parts[call.output].strip(), call.node.label) if call.output < len(parts) else EMPTY


def _cr_combine(call: Call) -> Value:
    return joined([call.text(f"part{index}") for index in range(1, 5)], call.plain("separator", ","))


def _cr_blacklist(call: Call) -> Value:
    text = call.text("text")
    for line in call.plain("blacklist_words").split("\n")[:200]:
        text = replaced(text, line.strip(), call.text("replacement_text"))
    return text


def lines_of(*, text: str, start: str = "start_index", rows: str = "max_rows") -> Rule:
    """A rule for the nodes that run once for each of some lines: of several, the file does not tell which it was."""

    def rule(call: Call) -> Value:
        lines = [line for line in call.plain(text).split("\n") if line.strip()]
        first = max(0, min(call.whole(start), len(lines) - 1))
        chosen = lines[first : first + max(1, call.whole(rows, 1000))][:_LINE_LIMIT]
        wrapped = (
            joined([call.text("prepend_text"), text_of(line, call.node.label), call.text("append_text")])
            for line in chosen
        )
        return tuple(wrapped)

    return rule


# Impact Pack, Inspire Pack


def _impact_selector(call: Call) -> Value:
    words, index = call.plain("strings"), call.whole("select")
    entries = words.split("\n")
    if call.whole("multiline"):
        entries = [entry.strip() for entry in re.split(r"^(?=#)", words, flags=re.MULTILINE) if entry.strip()]
    chosen = entries[index % len(entries)] if entries else words
    return text_of(chosen.removeprefix("#") if call.whole("multiline") else chosen, call.node.label)


def _inspire_prompts(index: str) -> Rule:
    """Entries of a text between lines of dashes; as values, the whole entries, which `UnzipPrompt` takes apart."""

    def rule(call: Call) -> Value:
        if not call.has("text_data_opt"):
            return Text(partial=True)
        entries = re.split(r"\n[^\S\n]*-+[^\S\n]*\n", call.plain("text_data_opt") + "\n")
        if index == "index":
            chosen = entries[call.whole(index)] if 0 <= call.whole(index) < len(entries) else entries[-1]
            return text_of(chosen, call.node.label)
        first, count = call.whole(index), call.whole("load_cap") or len(entries)
        kept = [entry for entry in entries if entry.strip()][first:][:count]
        return tuple(text_of(entry, call.node.label) for entry in kept[:_LINE_LIMIT])

    return rule


_ZIPPED = re.compile(r"^(positive|negative|name):", re.MULTILINE)


def _unzip(call: Call) -> Value:
    asked = ("positive", "negative", "name")[call.output if 0 <= call.output < 3 else 2]

    def part(words: str) -> str:
        marks = list(_some(_ZIPPED.finditer(words)))
        ends = [*(mark.start() for mark in marks[1:]), len(words)]
        parts = (words[mark.end() : end].strip() for mark, end in zip(marks, ends, strict=False) if mark[1] == asked)
        return next(parts, "")

    return mapped(part, call.text("zipped_prompt"))


def _zip(call: Call) -> Value:
    sides = [("positive", "positive"), ("negative", "negative"), ("name", "name_opt")]
    return joined([joined([text_of(f"{side}:"), call.text(name)]) for side, name in sides], "\n")


def picked(*, items: str, index: str = "index", base: int = 0, around: bool = False) -> Rule:
    """A rule that picks one of a list, or one line of a text."""

    def rule(call: Call) -> Value:
        found = call.items(items)
        if len(found) == 1:
            found = tuple(text_of(line, call.node.label) for line in found[0].plain.split("\n")[:_LINE_LIMIT])
        number = call.number(index)
        if number is None or not found:
            return _drawn(found)
        at = int(number) - base
        return found[at % len(found)] if around else found[max(-len(found), min(at, len(found) - 1))]

    return rule


def _drawn(texts: Iterable[Text]) -> Text:
    return dataclasses.replace(either(texts), drawn=True)


# KJNodes, Custom Scripts


def _join_numbered(call: Call) -> Value:
    count = max(0, min(call.whole("inputcount", 2), 1000))
    texts = [call.text(f"string_{index}") for index in range(1, count + 1) if call.has(f"string_{index}")]
    return tuple(texts) if call.whole("return_list") else joined(texts, _separator(call.plain("delimiter", " ")))


def _widget(call: Call) -> Value:
    """Another node's widget, by its id."""
    node = call.evaluator.graph.nodes.get(str(call.whole("id")))
    return call.evaluator.input(node, call.plain("widget_name")) if node is not None else None


def _affixed(call: Call) -> Value:
    return joined([call.text("prefix"), call.text("input"), call.text("suffix")])


def _string_function(call: Call) -> Value:
    tidy = call.plain("tidy_tags") == "yes"
    texts = [call.text(name) for name in ("text_a", "text_b", "text_c")]
    find = texts[1].plain
    if call.plain("action") != "replace":
        text = joined([text for text in texts if text.plain], ", " if tidy else "")
    elif len(find) > 1 and find.startswith("/") and find.endswith("/"):
        text = substituted(call, texts[0], find[1:-1], texts[2].plain)
    else:
        text = replaced(texts[0], find, texts[2])
    return mapped(_tidied, text) if tidy else text


def _tidied(words: str) -> str:
    return re.sub(r",{2,}", ",", re.sub(r"\s{2,}", " ", words).replace(" ,", ",")).strip()


def _lines_joined(call: Call) -> Value:
    lines = [line.strip() for line in call.plain("string").split("\n") if line.strip()]
    return text_of(call.plain("delimiter", " | ").join(lines), call.node.label)


def _populated(call: Call) -> Value:
    """A wildcard node keeps the text that it made of its template."""
    return call.value("populated_text") if call.has("populated_text") else call.value("wildcard_text")


def _added(call: Call) -> Value:
    return joined([call.text("prefix"), call.text("texts"), call.text("suffix")])


def _sided(positive: str, negative: str) -> Rule:
    return by_output(positive, negative)


def _listed(call: Call) -> Value:
    return joined(call.items("text_list") or call.items("list"), _separator(call.plain("delimiter", ", ")))


def _string_list(call: Call) -> Value:
    return joined(call.items("string_list"), _separator(call.plain("join_with")))


def _sorted(call: Call) -> Value:
    separator = call.plain("separator", ", ")
    mark = separator.strip() or ","

    def ordered(words: str) -> str:
        return separator.join(sorted(part.strip() for part in words.strip(separator + " \t\n\r").split(mark)))

    return mapped(ordered, call.text("text"))


def _shuffled(call: Call) -> Value:
    separator, seed = call.plain("separator", ","), call.number("seed")
    parts = call.plain("text").split(separator or "\0")
    if seed is not None:
        from random import Random

        Random(int(seed)).shuffle(parts)
    return text_of(separator.join(parts), call.node.label)


_THREE = tuple((f"find{index}", f"replace{index}") for index in (1, 2, 3))
_VALUE = same("value", "string", "text", "prompt", "STRING")

RULES: Mapping[str, Rule] = {
    # ComfyUI itself
    "stringconcatenate": lambda call: joined([call.text("string_a"), call.text("string_b")], call.plain("delimiter")),
    "stringsubstring": _substring,
    "caseconverter": case(text="string", by="mode"),
    "stringtrim": case(text="string", by="mode"),
    "stringreplace": replace(("find", "replace")),
    "stringreplacemtb": replace(("old", "new")),
    "regexreplace": _regex_replace,
    "regexextract": _regex_extract,
    "stringformat": _format,
    "formatstring": _format,
    "textformat": _format,
    "stringtemplate": _format,
    "primitivestring": _VALUE,
    "primitivestringmultiline": _VALUE,
    "primitivenode": _VALUE,
    "texttolowercase": lambda call: mapped(str.lower, call.text("texts")),
    "texttouppercase": lambda call: mapped(str.upper, call.text("texts")),
    "stripwhitespace": lambda call: mapped(str.strip, call.text("texts")),
    "replacetext": replace(("find", "replace"), text="texts"),
    "addtextprefix": _added,
    "addtextsuffix": _added,
    # WAS Node Suite
    "textmultiline": _was_text,
    "textmultilinecodecompatible": same("text"),
    "textstring": by_output("text", "text_b", "text_c", "text_d"),
    "textconcatenate": _was_join,
    "textfindandreplace": _was_replace,
    "textfindandreplaceinput": _was_replace_all,
    "textrandomline": _was_random_line,
    "textloadlinefromfile": _was_line,
    "textstringtruncate": _was_truncate,
    "textlist": _texts("text_"),
    "textlistconcatenate": _texts("list_"),
    "textlisttotext": _listed,
    "textsort": _sorted,
    "textshuffle": _shuffled,
    "texttostring": same("text"),
    "stringtotext": same("string"),
    "texttoconsole": same("text"),
    "textparsetokens": _was_text,
    "textparsea1111embeddings": same("text"),
    # Comfyroll
    "crtext": same("text"),
    "crprompttext": same("prompt"),
    "crmultilinetext": _cr_multiline,
    "crtextconcatenate": lambda call: joined([call.text("text1"), call.text("text2")], call.plain("separator")),
    "crtextreplace": replace(*_THREE, text="text"),
    "crtextoperation": case(text="text", by="operation"),
    "crtextblacklist": _cr_blacklist,
    "crsplitstring": _cr_split,
    "crcombineprompt": _cr_combine,
    "crtextlist": lines_of(text="multiline_text"),
    "crpromptlist": lines_of(text="multiline_text"),
    # Easy-Use
    "easystring": _VALUE,
    "easypositive": same("positive"),
    "easynegative": same("negative"),
    "easyprompt": same("text", "prompt"),
    "easypromptconcat": lambda call: joined([call.text("prompt1"), call.text("prompt2")], call.plain("separator")),
    "easypromptreplace": replace(*_THREE, text="prompt"),
    "easypromptline": lines_of(text="prompt"),
    "easypromptlist": _texts("optional_prompt_list", "prompt_"),
    "easyindexanything": picked(items="any"),
    "easystringjoinlines": _lines_joined,
    "easystylesselector": _sided("positive", "negative"),
    # Impact Pack, Inspire Pack
    "impactwildcardprocessor": _populated,
    "impactwildcardencode": _populated,
    "wildcardencode": _populated,
    "impactstringselector": _impact_selector,
    "stringselector": _impact_selector,
    "impactselectnthitemofanylist": picked(items="any_list"),
    "selectnthitemofanylist": picked(items="any_list"),
    "stringlisttostring": _string_list,
    "impactmakeanylist": _texts("value"),
    "loadsinglepromptfromfile": _inspire_prompts("index"),
    "loadpromptsfromfile": _inspire_prompts("start_index"),
    "unzipprompt": _unzip,
    "zipprompt": _zip,
    "promptbuilder": same("text"),
    # Others that join without a separator of their own
    "concatstringsingle": lambda call: joined([call.text("string_a"), call.text("string_b")]),
    "jwstringconcat": lambda call: joined([call.text("a"), call.text("b")]),
    "jwstringreplace": replace(("to_replace", "replace_with"), text="source_string"),
    "ttnconcat": join("text", without_empty=True),
    # KJNodes, Custom Scripts, styles
    "stringconstant": same("string"),
    "stringconstantmultiline": same("string"),
    "joinstrings": lambda call: joined([call.text("string1"), call.text("string2")], call.plain("delimiter", " ")),
    "joinstringmulti": _join_numbered,
    "appendstringstolist": _texts("string"),
    "widgettostring": _widget,
    "somethingtostring": _affixed,
    "stringfunction": _string_function,
    "sdxlpromptstyler": _sided("text_positive", "text_negative"),
    "sdxlpromptstyleradvanced": by_output("text_positive_g", "text_positive_l", "text_positive_g", "text_negative"),
}
"""The rule of each kind. What is not here is recognised by the names of its inputs, in `evaluating`."""
