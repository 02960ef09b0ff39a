"""Code: what a small Python program evaluates to, as a table of snippets."""

from __future__ import annotations

import random
from typing import Any

from dataenv.tasks.procedural import special
from dataenv.tasks.procedural.code_ops import PRIMITIVES, Trace, hinted
from dataenv.tasks.procedural.code_snippets import VARIABLES, Snippet, build, chain
from dataenv.tasks.procedural.code_words import HIGHEST, KINDS, NUMBER_HIGHEST, random_word
from dataenv.tasks.procedural.skill import Domain, Parameters, Skill

__all__ = ["DOMAIN", "PRIMITIVES", "hinted"]

# Where one text fits two skills, the narrower one comes first: `recognise` takes the first.
SINGLE_SKILLS = (
    chain("indexing", "index_from_end", "item_back", "xs i", "xs[-{i}]"),
    chain("indexing", "index", "item", "xs i", "xs[{i}]"),
    chain("indexing", "letter_from_end", "item_back", "s i", "s[-{i}]", inline=False),
    chain("indexing", "letter", "item", "s i", "s[{i}]", inline=False),
    chain("indexing", "find_in_list", "place", "xs v", "xs.index({v})"),
    chain("slicing", "drop_last", "drop_last", "xs k", "xs[:-{k}]"),
    chain("slicing", "slice", "slice", "xs i j", "xs[{i}:{j}]"),
    chain("slicing", "drop", "drop", "xs k", "xs[{k}:]"),
    chain("slicing", "take", "take", "xs k", "xs[:{k}]"),
    chain("slicing", "reverse_list", "reverse", "xs", "xs[::-1]"),
    chain("slicing", "every_second", "second", "xs", "xs[::2]"),
    chain("slicing", "slice_string", "slice", "s i j", "s[{i}:{j}]", inline=False),
    chain("slicing", "drop_letters", "drop", "s k", "s[{k}:]", inline=False),
    chain("slicing", "reverse_string", "reverse", "s", "s[::-1]", inline=False),
    chain("list methods", "append", "append", "xs v", "xs", "xs.append({v})"),
    chain("list methods", "insert", "insert", "xs i v", "xs", "xs.insert({i}, {v})"),
    chain("list methods", "pop_at", "remove_at", "xs i", "xs", "xs.pop({i})"),
    chain("list methods", "remove", "remove", "rs v", "rs", "rs.remove({v})"),
    chain("list methods", "count_in_list", "count", "rs v", "rs.count({v})"),
    chain("list methods", "concat", "join", "xs ys", "xs + ys"),
    chain("list methods", "repeat_list", "repeat", "xs k", "xs * {k}"),
    chain("list methods", "pair_up", "pair", "ns ys", "list(zip(ns, ys))", inline=False),
    chain("string methods", "upper", "capitals", "s", "s.upper()"),
    chain("string methods", "capitalize", "capital_first", "s", "s.capitalize()"),
    chain("string methods", "replace", "change", "e u v", "e.replace({u}, {v})", inline=False),
    chain("string methods", "count_letter", "count", "e v", "e.count({v})", inline=False),
    chain("string methods", "find", "place", "s v", "s.find({v})"),
    chain("string methods", "startswith", "starts", "s p", "s.startswith({p})"),
    chain("string methods", "split", "split", "line", "line.split()"),
    chain("string methods", "join", "join_with", "words c", "{c}.join(words)"),
    chain("string methods", "concat_strings", "join", "s t", "s + t", inline=False),
    chain("dicts", "lookup", "lookup", "d k", "d[{k}]", inline=False),
    chain("dicts", "get_default", "lookup_else", "d k v", "d.get({k}, {v})"),
    chain("dicts", "set_key", "store", "d k v", "d", "d[{k}] = {v}"),
    chain("dicts", "delete_key", "delete", "d k", "d", "del d[{k}]"),
    chain("dicts", "keys", "keys", "d", "list(d)", inline=False),
    chain("dicts", "values", "values", "d", "list(d.values())"),
    chain("dicts", "top_key", "top_key", "d", "max(d, key=d.get)"),
    chain(
        "dicts",
        "tally",
        "tally",
        "e",
        "out",
        "out = {}\nfor c in e:\n    out[c] = out.get(c, 0) + 1",
    ),
    chain("sorting", "sort", "sort", "xs", "sorted(xs)"),
    chain("sorting", "sort_down", "sort_down", "xs", "sorted(xs, reverse=True)"),
    chain("sorting", "sort_words", "sort", "words", "sorted(words)", inline=False),
    chain("sorting", "sort_length", "sort_length", "ws", "sorted(ws, key=len)"),
    chain("aggregation", "sum", "add_up", "xs", "sum(xs)"),
    chain("aggregation", "max", "biggest", "xs", "max(xs)"),
    chain("aggregation", "min", "smallest", "xs", "min(xs)"),
    chain("aggregation", "length", "length", "zs", "len(zs)"),
    chain("aggregation", "length_string", "length", "s", "len(s)", inline=False),
    chain("integer maths", "floor_division", "whole", "m k", "m // {k}"),
    chain("integer maths", "modulo", "rest", "m k", "m % {k}"),
    chain("integer maths", "square_plus", "square plus", "g b", "g ** 2 + b"),
    chain("integer maths", "distance", "difference", "a b", "abs(a - b)"),
    chain("integer maths", "precedence", "times plus", "g k b", "b + g * {k}"),
    chain("integer maths", "brackets", "plus rest", "a b k", "(a + b) % {k}"),
    chain("integer maths", "swap", "minus", "m a", "a - m", "a, m = m, a"),
    chain("conditionals", "compare", "bigger", "a b", "a > b"),
    chain("conditionals", "contains", "has", "xs v", "{v} in xs"),
    chain(
        "conditionals",
        "if_else",
        "bigger pick",
        "a k u v",
        "out",
        "if a > {k}:\n    out = {u}\nelse:\n    out = {v}",
    ),
    chain("loops", "loop_sum", "add_up", "xs", "out", "out = 0\nfor x in xs:\n    out += x"),
    chain(
        "loops", "loop_product", "multiply_up", "ns", "out", "out = 1\nfor x in ns:\n    out *= x"
    ),
    chain(
        "loops", "loop_reverse", "reverse", "s", "out", "out = ''\nfor c in s:\n    out = c + out"
    ),
    chain(
        "loops",
        "loop_first",
        "first_bigger",
        "xs k",
        "x",
        "for x in xs:\n    if x > {k}:\n        break",
    ),
    chain("loops", "while_down", "descend", "m step j", "m", "while m > {j}:\n    m -= {step}"),
    chain("loops", "repeat_add", "add_times", "a k j", "a", "for _ in range({j}):\n    a += {k}"),
    chain("loops", "range_step", "count_steps", "a b k", "list(range(a, b, {k}))"),
    chain("loops", "range", "count_up", "m b", "list(range(m, b))"),
    chain("loops", "enumerate", "number", "xs", "list(enumerate(xs))", inline=False),
    chain("comprehensions", "map_add", "add_each", "xs k", "[x + {k} for x in xs]"),
    chain("comprehensions", "map_multiply", "multiply_each", "ns k", "[x * {k} for x in ns]"),
    chain("comprehensions", "filter_bigger", "keep_bigger", "xs k", "[x for x in xs if x > {k}]"),
    chain("comprehensions", "filter_even", "keep_even", "xs", "[x for x in xs if x % 2 == 0]"),
    chain("comprehensions", "map_upper", "capitals_each", "words", "[w.upper() for w in words]"),
    chain("comprehensions", "map_length", "lengths", "ws", "[len(w) for w in ws]"),
    chain(
        "functions",
        "linear_function",
        "times plus",
        "g k j",
        "f({g})",
        "def f(x):\n    return x * {k} + {j}",
    ),
    chain(
        "functions",
        "keyword_arguments",
        "minus",
        "m b",
        "f(y={b}, x={m})",
        "def f(x, y):\n    return x - y",
    ),
    chain(
        "functions",
        "recursion",
        "add_times",
        "a k j",
        "f({j})",
        "def f(x):\n    return {a} if x == 0 else f(x - 1) + {k}",
    ),
)

# A skill on the values of others: its solution is theirs in a row.
CHAINED_SKILLS = (
    chain(
        "sorting", "sorted_index", "sort item", "xs i", "sorted(xs)[{i}]", parts=("sort", "index")
    ),
    chain(
        "sorting",
        "sorted_concat",
        "join sort",
        "xs ys",
        "sorted(xs + ys)",
        inline=False,
        parts=("concat", "sort"),
    ),
    chain(
        "slicing", "slice_sum", "slice add_up", "xs i j", "sum(xs[{i}:{j}])", parts=("slice", "sum")
    ),
    chain("slicing", "prefix_max", "take biggest", "xs k", "max(xs[:{k}])", parts=("take", "max")),
    chain(
        "slicing",
        "reversed_index",
        "reverse item",
        "xs i",
        "xs[::-1][{i}]",
        parts=("reverse_list", "index"),
    ),
    chain(
        "string methods",
        "reverse_upper",
        "reverse capitals",
        "s",
        "s[::-1].upper()",
        parts=("reverse_string", "upper"),
    ),
    chain(
        "string methods",
        "count_words",
        "split length",
        "line",
        "len(line.split())",
        parts=("split", "length"),
    ),
    chain(
        "string methods",
        "split_index",
        "split item",
        "line i",
        "line.split()[{i}]",
        parts=("split", "index"),
    ),
    chain(
        "string methods",
        "join_sorted",
        "sort join_with",
        "words c",
        "{c}.join(sorted(words))",
        parts=("sort_words", "join"),
    ),
    chain("dicts", "sum_values", "values add_up", "d", "sum(d.values())", parts=("values", "sum")),
    chain(
        "dicts",
        "sorted_keys",
        "keys sort",
        "d",
        "sorted(d)",
        inline=False,
        parts=("keys", "sort_words"),
    ),
    chain(
        "loops",
        "count_bigger",
        "keep_bigger length",
        "xs k",
        "out",
        "out = 0\nfor x in xs:\n    if x > {k}:\n        out += 1",
        parts=("filter_bigger", "length"),
    ),
    chain(
        "comprehensions",
        "scaled_sum",
        "multiply_each add_up",
        "ns k",
        "sum([x * {k} for x in ns])",
        parts=("map_multiply", "sum"),
    ),
    chain(
        "conditionals",
        "any_bigger",
        "biggest bigger",
        "xs k",
        "any(x > {k} for x in xs)",
        parts=("max", "compare"),
    ),
    chain(
        "functions",
        "nested_calls",
        "plus rest",
        "a k j",
        "h(f({a}))",
        "def f(x):\n    return x + {k}\ndef h(x):\n    return x % {j}",
        parts=("linear_function", "modulo"),
    ),
)


def _draw_kinds(rng: random.Random, difficulty: int, *names: str) -> dict[str, Any]:
    return {name: KINDS[VARIABLES[name][0]](rng, difficulty) for name in names}


def _draw_list(rng: random.Random, difficulty: int) -> dict[str, Any]:
    return _draw_kinds(rng, difficulty, "xs")


def _plan_spread(trace: Trace, p: Parameters) -> None:
    biggest = trace.do("biggest", p["xs"])
    trace.do("minus", biggest, trace.do("smallest", p["xs"]))


def _plan_ends(trace: Trace, p: Parameters) -> None:
    first = trace.do("item", p["xs"], 0)
    trace.do("plus", first, trace.do("item_back", p["xs"], 1))


def _draw_division(rng: random.Random, difficulty: int) -> dict[str, Any]:
    return _draw_kinds(rng, difficulty, "m") | {"k": rng.randint(2, 9)}


def _plan_digits(trace: Trace, p: Parameters) -> None:
    whole = trace.do("whole", p["m"], p["k"])
    trace.do("plus", whole, trace.do("rest", p["m"], p["k"]))


def _draw_lookups(rng: random.Random, difficulty: int) -> dict[str, Any]:
    table = _draw_kinds(rng, difficulty, "d")
    first, second = rng.sample(sorted(table["d"]), 2)
    return table | {"k": first, "j": second}


def _plan_lookups(trace: Trace, p: Parameters) -> None:
    first = trace.do("lookup", p["d"], p["k"])
    trace.do("plus", first, trace.do("lookup", p["d"], p["j"]))


def _draw_grid(rng: random.Random, difficulty: int) -> dict[str, Any]:
    width = 2 + (difficulty > 1)
    grid = [rng.sample(range(HIGHEST[difficulty]), width) for _ in range(2)]
    return {"grid": grid, "i": rng.randrange(2), "j": rng.randrange(width)}


def _plan_grid(trace: Trace, p: Parameters) -> None:
    trace.do("item", trace.do("item", p["grid"], p["i"]), p["j"])


def _draw_two_tests(rng: random.Random, difficulty: int) -> dict[str, Any]:
    numbers = _draw_kinds(rng, difficulty, "a", "b")
    return numbers | {name: rng.randint(1, NUMBER_HIGHEST[difficulty]) for name in "kj"}


def _two_tests(word: str) -> Any:
    def plan(trace: Trace, p: Parameters) -> None:
        first = trace.do("bigger", p["a"], p["k"])
        trace.do(word, first, trace.do("bigger", p["b"], p["j"]))

    return plan


def _draw_ternary(rng: random.Random, difficulty: int) -> dict[str, Any]:
    highest = NUMBER_HIGHEST[difficulty]
    a = rng.randint(5, highest)
    limit = rng.randint(2, a - 1) if rng.random() < 0.5 else rng.randint(a, highest)
    return {"a": a, "j": limit, "k": rng.randint(1, min(a, 9))}


def _plan_ternary(trace: Trace, p: Parameters) -> None:
    first = trace.do("bigger", p["a"], p["j"])
    trace.say("take first" if first else "take second")
    trace.do("minus" if first else "plus", p["a"], p["k"])


def _draw_elif(rng: random.Random, difficulty: int) -> dict[str, Any]:
    low, high = sorted(rng.sample(range(2, NUMBER_HIGHEST[difficulty]), 2))
    spans = ((1, low), (low + 1, high), (high + 1, NUMBER_HIGHEST[difficulty]))
    words = {name: random_word(rng, 2, 2) for name in "uvw"}
    return {"a": rng.randint(*rng.choice(spans)), "k": low, "j": high, **words}


def _plan_elif(trace: Trace, p: Parameters) -> None:
    if trace.do("bigger", p["a"], p["j"]):
        trace.say(f"take {p['u']!r}")
    else:
        trace.do("pick", trace.do("bigger", p["a"], p["k"]), p["v"], p["w"])


def _draw_divisible(rng: random.Random, difficulty: int) -> dict[str, Any]:
    drawn = _draw_division(rng, difficulty) | {"j": rng.randint(1, 9)}
    excess = drawn["m"] % drawn["k"] if rng.random() < 0.5 else 0
    return drawn | {"m": drawn["m"] - excess}


def _plan_divisible(trace: Trace, p: Parameters) -> None:
    if trace.do("rest", p["m"], p["k"]):
        trace.do("plus", p["m"], p["j"])
    else:
        trace.do("whole", p["m"], p["k"])


def _draw_default(rng: random.Random, difficulty: int) -> dict[str, Any]:
    return {name: rng.randint(2, NUMBER_HIGHEST[difficulty]) for name in "akj"}


def _plan_default(trace: Trace, p: Parameters) -> None:
    trace.say(f"y not given, default {p['k']}")
    trace.do("plus", trace.do("plus", p["a"], p["k"]), p["j"])


def _plan_twice(trace: Trace, p: Parameters) -> None:
    trace.do("plus", trace.do("plus", p["a"], p["k"]), p["k"])


def _draw_twice(rng: random.Random, difficulty: int) -> dict[str, Any]:
    return {name: rng.randint(2, NUMBER_HIGHEST[difficulty]) for name in "ak"}


PLANNED_SKILLS = (
    build(
        "aggregation",
        "spread",
        Snippet(("xs",), "max(xs) - min(xs)"),
        _draw_list,
        _plan_spread,
        ("max", "min"),
    ),
    build(
        "aggregation",
        "ends_sum",
        Snippet(("xs",), "xs[0] + xs[-1]"),
        _draw_list,
        _plan_ends,
        ("index", "index_from_end"),
    ),
    build(
        "integer maths",
        "whole_plus_rest",
        Snippet(("m", "k"), "m // {k} + m % {k}"),
        _draw_division,
        _plan_digits,
        ("floor_division", "modulo"),
    ),
    build(
        "dicts",
        "sum_lookups",
        Snippet(("d", "k", "j"), "d[{k}] + d[{j}]"),
        _draw_lookups,
        _plan_lookups,
        ("lookup",),
    ),
    build(
        "indexing",
        "grid_index",
        Snippet(("grid", "i", "j"), "grid[{i}][{j}]", inline=False),
        _draw_grid,
        _plan_grid,
        ("index",),
    ),
    build(
        "conditionals",
        "and_tests",
        Snippet(("a", "b", "k", "j"), "a > {k} and b > {j}"),
        _draw_two_tests,
        _two_tests("both"),
        ("compare",),
    ),
    build(
        "conditionals",
        "or_tests",
        Snippet(("a", "b", "k", "j"), "a > {k} or b > {j}"),
        _draw_two_tests,
        _two_tests("either"),
        ("compare",),
    ),
    build(
        "conditionals",
        "ternary",
        Snippet(("a", "k", "j"), "a - {k} if a > {j} else a + {k}"),
        _draw_ternary,
        _plan_ternary,
        ("compare",),
    ),
    build(
        "conditionals",
        "elif",
        Snippet(
            tuple("ajkuvw"),
            "out",
            "if a > {j}:\n    out = {u}\nelif a > {k}:\n    out = {v}\nelse:\n    out = {w}",
        ),
        _draw_elif,
        _plan_elif,
    ),
    build(
        "conditionals",
        "if_divisible",
        Snippet(("m", "k", "j"), "m", "if m % {k} == 0:\n    m = m // {k}\nelse:\n    m = m + {j}"),
        _draw_divisible,
        _plan_divisible,
        ("modulo", "floor_division"),
    ),
    build(
        "functions",
        "default_argument",
        Snippet(("a", "k", "j"), "f({a}) + {j}", "def f(x, y={k}):\n    return x + y"),
        _draw_default,
        _plan_default,
    ),
    build(
        "functions",
        "call_twice",
        Snippet(("a", "k"), "f(f({a}))", "def f(x):\n    return x + {k}"),
        _draw_twice,
        _plan_twice,
    ),
)


def _by_name(*skills: Skill) -> dict[str, Skill]:
    return {skill.name: skill for skill in skills}


DOMAIN = Domain(
    name="code",
    description="What a small Python program evaluates to: say in words what it does, then do it.",
    answer_format="The solution ends with 'Answer: ' and the value as a Python literal.",
    grader="literal",
    skills=_by_name(*SINGLE_SKILLS, *CHAINED_SKILLS, *PLANNED_SKILLS, *special.CODE),
    executable=True,
    special_topics=special.CODE_TOPICS,
)
