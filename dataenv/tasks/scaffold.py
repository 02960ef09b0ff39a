"""Task folders to start from: small, right, and with every file and field explained."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from dataenv.config import did_you_mean
from dataenv.errors import ConfigError, UnknownNameError
from dataenv.tasks.folder import SETTINGS_FILE

COLUMNS = ("topic", "instruction", "input", "answer", "output", "id")
"""Columns of the tables below, after the file's name; the last ones may be left out. An empty one
is left out of the file."""

TEMPLATE = """\
# A task of your own: this file and the .jsonl files beside it, with one JSON object on each line.
# The questions are examples. Put yours in their place: some 100 public and 500 private ones, or
# whatever you have; with few of them only large gains can be seen.

# What results call the task.
name: {name}

# What the student must become good at. Controllers read it.
description: {description}

# How answers are compared with the right one.
#   numeric  one number, right to the last decimal of yours: 2.50 takes 2.495 to 2.505
#   literal  one Python value: [1, 2] is not (1, 2)
#   choice   one letter
#   exact    the same text; case and runs of spaces do not count
grader: {grader}

# How a solution must end (may be left out). Graders read what follows the last "Answer:".
answer_format: {answer_format}

# The files. In each, fields in brackets may be left out, and all values are text in quotes: "4.50".
#
# public.jsonl: visible questions with answers; they steer the work and are never trained on.
#   instruction  the question
#   answer       the right answer, as the grader reads it
#   [input]      text, code or options that belong to the question
#   [topic]      heading by which reports break scores down; a handful of them is best
#   [output]     a worked solution that ends with 'Answer: ' and the answer
#   [id]         a name for the question; without one it is its place, such as public-3
# private.jsonl: the same fields. Scored once, at the end; nobody who curates sees them.
#
# May be left out altogether:
#
# reward.jsonl: the same fields. Hidden, and feeds the reward; without it public.jsonl does.
# pool.jsonl: rows that lie around, right or wrong: instruction, [input], output. Without a teacher
#   they are all that can be trained on. (Here one is wrong, and one does not end as it should.)
# seed.jsonl: questions that have no answer yet: instruction, [input], [topic], [id].
# few_shot.jsonl: good examples: instruction, [input], output.
# retention.jsonl: the fields of public.jsonl and the same grader. What the student can do already
#   and should not forget; without it general questions are asked.
#
# A question may stand only once in all of these files, the pool apart.
"""


@dataclass(frozen=True)
class Kind:
    """The contents of a folder.

    Args:
        name, description, answer_format: Fields of ``task.yaml``.
        table: Lines of the files, with columns between ``|``.
    """

    name: str
    description: str
    answer_format: str
    table: str


def write_scaffold(folder: Path, kind: str) -> list[Path]:
    """Writes a task folder that loads at once.

    Args:
        folder: A folder that is empty or does not exist yet.
        kind: A name of `KINDS`, which is that of its grader.

    Returns:
        The files written.

    Raises:
        UnknownNameError: There is no such kind.
        ConfigError: The folder is not empty, or cannot be written to.
    """
    if kind not in KINDS:
        raise UnknownNameError(f"unknown kind of task {kind!r}{did_you_mean(kind, list(KINDS))}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        held = sorted(each.name for each in folder.iterdir())
        if held:
            raise ConfigError(
                f"the folder {str(folder)!r} is not empty, it holds {held[0]!r}; name a new one"
            )
        return [_write(folder / name, text) for name, text in _contents(kind).items()]
    except OSError as error:
        raise ConfigError(
            f"cannot write the folder {str(folder)!r}: {error.strerror}; name another"
        ) from error


def _write(path: Path, text: str) -> Path:
    path.write_text(text, "utf-8", newline="\n")
    return path


def _contents(kind: str) -> dict[str, str]:
    """Texts by file name."""
    settings = {name: json.dumps(text) for name, text in asdict(KINDS[kind]).items()}
    texts = {SETTINGS_FILE: TEMPLATE.format(**settings, grader=kind)}
    for line in KINDS[kind].table.strip().splitlines():
        split, *cells = [cell.strip() for cell in line.split("|")]
        fields = {name: cell.replace(r"\n", "\n") for name, cell in zip(COLUMNS, cells) if cell}
        name = f"{split}.jsonl"
        texts[name] = texts.get(name, "") + json.dumps(fields) + "\n"
    return texts


NUMERIC = Kind(
    name="everyday-sums",
    description="Everyday sums about prices and journeys: find the right operation, then do it.",
    answer_format="The solution ends with 'Answer: ' and a plain number in the unit asked for.",
    table=r"""
public | prices | A coat costs 80 euros and is reduced by 15 percent. What is its new price in euros? | | 68 | 15 percent of 80 are 12. 80 - 12 = 68. Answer: 68 | coat
public | prices | Three notebooks cost 7.50 euros. What does one cost, in euros? | | 2.50
public | prices | Apples cost 3.20 euros a kilogram. What do 1.5 kg cost, in euros? | | 4.80
public | prices | What is the total of this receipt, in euros? | bread 2.30\ncheese 4.15\nmilk 1.05 | 7.50
public | journeys | A train covers 270 km in 3 hours. What is its speed in km/h? | | 90
public | journeys | Nina cycles at 18 km/h for 2.5 hours. How far does she get, in km? | | 45
public | journeys | A car needs 6 litres for 100 km. How many litres for 350 km? | | 21
public | journeys | A path is 12 km long. How many hours does it take at 4 km/h? | | 3
private | prices | A lamp for 45 euros is reduced by 20 percent. What is it now, in euros? | | 36
private | prices | Five equal mugs cost 32.50 euros. What does one mug cost, in euros? | | 6.50
private | prices | A kilogram of cheese costs 14 euros. What do 350 g cost, in euros? | | 4.90
private | prices | You pay 13.40 euros with a note of 20. How many euros do you get back? | | 6.60
private | journeys | A bus covers 195 km in 2.5 hours. What is its speed in km/h? | | 78
private | journeys | A boat sails at 11 km/h for 4 hours. How many km is that? | | 44
private | journeys | A van needs 9 litres for 100 km. How many litres for 250 km? | | 22.5
private | journeys | A flight of 2,100 km is done at 840 km/h. How many hours is that? | | 2.5
seed | prices | A bicycle for 400 euros gets 8 percent dearer. What is it now, in euros?
seed | prices | Twelve eggs cost 4.20 euros. What does one egg cost, in euros?
seed | prices | What is the total of this bill, in euros? | soup 5.40\ntea 2.80
seed | journeys | A tram covers 14 km in half an hour. What is its speed in km/h?
seed | journeys | Ali walks at 5 km/h for 90 minutes. How many km does he get?
seed | journeys | A lorry needs 30 litres for 100 km. How far do 240 litres last, in km?
pool | | A book for 20 euros is reduced by 10 percent. What is it now, in euros? | | | 10 percent of 20 are 2. 20 - 2 = 18. Answer: 18
pool | | Four pens cost 6 euros. What does one cost, in euros? | | | 6 / 4 = 1.5. Answer: 1.5
pool | | Rice costs 2 euros a kilogram. What do 3 kg cost, in euros? | | | 2 + 3 = 5. Answer: 5
pool | | A train covers 160 km in 2 hours. What is its speed in km/h? | | | Answer: 80
pool | | A walker does 5 km/h. How far in 3 hours, in km? | | | 5 * 3 = 15, so 15 km.
pool | | How long does the whole trip take, in minutes? | walk 12\nwait 7\nbus 20 | | 12 + 7 + 20 = 39. Answer: 39
few_shot | | A ticket for 12 euros is reduced by 25 percent. What is it now, in euros? | | | 25 percent of 12 are 3. 12 - 3 = 9. Answer: 9
""",
)

LITERAL = Kind(
    name="python-values",
    description="What short Python expressions on strings and lists evaluate to.",
    answer_format="The solution ends with 'Answer: ' and the value as a Python literal.",
    table=r"""
public | lists | What does this Python expression evaluate to? | sorted([3, 1, 2]) | [1, 2, 3] | In rising order these are 1, 2 and 3. Answer: [1, 2, 3] | sorted
public | lists | What does this Python expression evaluate to? | [3, 4, 5][1:] | [4, 5]
public | lists | What does this Python expression evaluate to? | [n * n for n in range(3)] | [0, 1, 4]
public | lists | What does this Python expression evaluate to? | min([9, 2, 7]), max([9, 2, 7]) | (2, 9)
public | strings | What does this Python expression evaluate to? | 'bee'.upper() | 'BEE'
public | strings | What does this Python expression evaluate to? | 'a,b,c'.split(',') | ['a', 'b', 'c']
public | strings | What does this Python expression evaluate to? | 'hello'[::-1] | 'olleh'
public | strings | What does this Python expression evaluate to? | 'banana'.count('na') | 2
private | lists | What does this Python expression evaluate to? | sorted([6, 9, 5], reverse=True) | [9, 6, 5]
private | lists | What does this Python expression evaluate to? | [7, 8, 9, 10][:2] | [7, 8]
private | lists | What does this Python expression evaluate to? | [n for n in (1, 2, 3, 4) if n % 2 == 0] | [2, 4]
private | lists | What does this Python expression evaluate to? | 3 in [5, 4, 3] | True
private | strings | What does this Python expression evaluate to? | 'oslo'.capitalize() | 'Oslo'
private | strings | What does this Python expression evaluate to? | '-'.join(['x', 'y', 'z']) | 'x-y-z'
private | strings | What does this Python expression evaluate to? | 'window'[:3] | 'win'
private | strings | What does this Python expression evaluate to? | len('a b ') | 4
seed | lists | What does this Python expression evaluate to? | [5, 6] + [7]
seed | lists | What does this Python expression evaluate to? | list(range(2, 11, 4))
seed | lists | What does this Python expression evaluate to? | sum([1, 2, 3]) / 2
seed | strings | What does this Python expression evaluate to? | 'tea' * 2
seed | strings | What does this Python expression evaluate to? | 'level'.replace('l', 'r')
seed | strings | What is the value of s in the end? | s = 'ab'\ns += 'c'
pool | | What does this Python expression evaluate to? | sum([3, 4]) | | 3 and 4 make 7. Answer: 7
pool | | What does this Python expression evaluate to? | [2, 4, 6][-1] | | The last element is 6. Answer: 6
pool | | What does this Python expression evaluate to? | list(reversed([1, 2])) | | Answer: [2, 1]
pool | | What does this Python expression evaluate to? | 'cat'[1] | | Counting starts at 1. Answer: 'c'
pool | | What does this Python expression evaluate to? | 'dog'.upper() | | It is 'dog' in capitals: 'DOG'.
pool | | What is the value of n in the end? | n = 2\nn *= 3 | | 2 * 3 = 6. Answer: 6
few_shot | | What does this Python expression evaluate to? | len([8]) == len('q') | | Both hold 1 element. Answer: True
""",
)

CHOICE = Kind(
    name="units-and-tools",
    description="Which unit a quantity has, and which instrument measures it: one of four options.",
    answer_format="The solution ends with 'Answer: ' and the letter of the right option.",
    table=r"""
public | units | Which unit is a force measured in? | A) joule\nB) newton\nC) watt\nD) pascal | B | A force is measured in newton, which is option B. Answer: B | force
public | units | What is the SI unit of power? | A) watt\nB) volt\nC) ohm\nD) mole | A
public | units | Which unit is one of length? | A) bar\nB) litre\nC) acre\nD) mile | D
public | units | How many metres is a kilometre? | A) 10\nB) 100\nC) 1000\nD) 10000 | C
public | instruments | What measures the pressure of the air? | A) barometer\nB) ammeter\nC) scales\nD) sextant | A
public | instruments | With what do you measure a temperature? | A) ruler\nB) clock\nC) thermometer\nD) compass | C
public | instruments | Which device records earthquakes? | A) altimeter\nB) odometer\nC) hygrometer\nD) seismograph | D
public | instruments | What shows a car's distance covered? | A) tachometer\nB) odometer\nC) fuel gauge\nD) voltmeter | B
private | units | In which unit is electric resistance given? | A) ampere\nB) volt\nC) ohm\nD) farad | C
private | units | What is the SI unit of energy? | A) lux\nB) hertz\nC) tesla\nD) joule | D
private | units | Which unit is one of time? | A) hour\nB) knot\nC) carat\nD) watt | A
private | units | How many grams is half a kilogram? | A) 50\nB) 500\nC) 1500\nD) 5000 | B
private | instruments | What measures an electric current? | A) barometer\nB) ammeter\nC) thermometer\nD) protractor | B
private | instruments | With what do you find north? | A) stopwatch\nB) scales\nC) ruler\nD) compass | D
private | instruments | Which device measures the humidity of air? | A) seismograph\nB) voltmeter\nC) hygrometer\nD) odometer | C
private | instruments | With what is an angle measured? | A) protractor\nB) thermometer\nC) barometer\nD) stopwatch | A
seed | units | What is the SI unit of mass? | A) newton\nB) gram\nC) kilogram\nD) ton
seed | units | What is measured in hertz? | A) heat\nB) frequency\nC) light\nD) mass
seed | units | How many seconds is an hour? | A) 60\nB) 360\nC) 3600\nD) 36000
seed | instruments | What measures a voltage? | A) voltmeter\nB) odometer\nC) sextant\nD) scales
seed | instruments | What tells a pilot how high the plane is? | A) ammeter\nB) altimeter\nC) ruler\nD) hygrometer
seed | instruments | With what is a mass measured? | A) clock\nB) compass\nC) protractor\nD) scales
pool | | What is the SI unit of pressure? | A) pascal\nB) newton\nC) joule\nD) ampere | | It is the pascal, option A. Answer: A
pool | | How many minutes is a day? | A) 720\nB) 1440 | | 24 * 60 = 1440. Answer: B
pool | | What is an electric charge measured in? | A) volt\nB) coulomb\nC) watt\nD) ohm | | Volts are for charge. Answer: A
pool | | What measures a short time? | A) compass\nB) ruler\nC) stopwatch\nD) scales | | A stopwatch does.
pool | | Which instrument is used to see stars? | A) microscope\nB) stethoscope\nC) periscope\nD) telescope | | Stars are far away. Answer: D
pool | | Which of these is a unit of area? | A) acre\nB) metre\nC) litre | | Answer: A
few_shot | | What is the speed of a ship given in? | A) carats\nB) bars\nC) knots\nD) moles | | Ships give it in knots, option C. Answer: C
""",
)

EXACT = Kind(
    name="word-forms",
    description="Irregular forms of English words: plurals of nouns and the past tense of verbs.",
    answer_format="The solution ends with 'Answer: ' and the one word that is asked for.",
    table=r"""
public | plurals | What is the plural of mouse? | | mice | The plural of mouse is irregular. Answer: mice | mouse
public | plurals | What is the plural of child? | | children
public | plurals | What is the plural of leaf? | | leaves
public | plurals | What is the plural of ox? | | oxen
public | past tense | What is the past tense of go? | | went
public | past tense | What is the past tense of bring? | | brought
public | past tense | What is the past tense of swim? | | swam
public | past tense | Fill the gap with the verb eat. | Yesterday we ___ soup. | ate
private | plurals | What is the plural of foot? | | feet
private | plurals | What is the plural of woman? | | women
private | plurals | What is the plural of knife? | | knives
private | plurals | What is the plural of goose? | | geese
private | past tense | What is the past tense of write? | | wrote
private | past tense | What is the past tense of teach? | | taught
private | past tense | What is the past tense of sing? | | sang
private | past tense | Fill the gap with the verb see. | Last week I ___ a fox. | saw
seed | plurals | What is the plural of tooth?
seed | plurals | What is the plural of wolf?
seed | plurals | What is the plural of sheep?
seed | past tense | What is the past tense of drink?
seed | past tense | What is the past tense of catch?
seed | past tense | Fill the gap with the verb fly. | In May the birds ___ north.
pool | | What is the plural of man? | | | The vowel of man changes. Answer: men
pool | | What is the plural of shelf? | | | In shelf, f becomes v. Answer: shelves
pool | | What is the plural of fish? | | | An s is added. Answer: fishs
pool | | What is the past tense of run? | | | Answer: ran
pool | | What is the past tense of buy? | | | It is irregular: bought.
pool | | Fill the gap with the verb take. | He ___ the bus at noon. | | Answer: took
few_shot | | What is the past tense of begin? | | | The vowel of begin changes. Answer: began
""",
)

KINDS: dict[str, Kind] = {
    "numeric": NUMERIC,
    "literal": LITERAL,
    "choice": CHOICE,
    "exact": EXACT,
}
"""Kinds of folders, by the name of their grader."""
