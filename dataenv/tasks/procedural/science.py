"""Science: laws of mechanics, electricity, heat, gases, waves, chemistry and statistics."""

from __future__ import annotations

from dataenv.tasks.procedural.laws import Composition, Frame, Law, Quantity, build_skills
from dataenv.tasks.procedural.skill import Domain

FRAMES = (
    Frame("{Subject} has {givens}. What is the {unknown}?", "{noun} {value} {unit}"),
    Frame("Given {givens}, find the {unknown} of {subject}.", "{noun} = {value} {unit}", ", "),
    Frame("For {subject}, {givens}. Compute the {unknown}.", "the {noun} is {value} {unit}"),
    Frame("Find the {unknown} of {subject} with {givens}.", "{noun} {value} {unit}", ", "),
    Frame("{Subject}: {givens}. How large is the {unknown}?", "{noun} {value} {unit}", ", "),
    Frame("Work out the {unknown} of {subject} when {givens}.", "{noun} is {value} {unit}"),
)

RESERVED_FRAMES = (
    Frame("A student records {givens} for {subject}. Determine the {unknown}.",
          "{noun} of {value} {unit}"),
    Frame("What {unknown} follows for {subject} from {givens}?", "{noun} {value} {unit}"),
)

_MASS = Quantity(("mass",), "kg", 2, 40)
_ACCELERATION = Quantity(("acceleration",), "m/s2", 2, 12)
_FORCE = Quantity(("force", "net force"), "N", 4, 240)
_DISTANCE = Quantity(("distance", "path length"), "m", 2, 90)
_TIME = Quantity(("time", "duration"), "s", 2, 12)
_SPEED = Quantity(("speed", "velocity"), "m/s", 2, 30)
_WORK = Quantity(("work", "work done"), "J", 6, 900)
_POWER = Quantity(("power",), "W", 4, 400)
_VOLTAGE = Quantity(("voltage", "potential difference"), "V", 2, 120)
_CURRENT = Quantity(("current",), "A", 2, 12)
_RESISTANCE = Quantity(("resistance",), "ohm", 2, 60)

LAWS = (
    Law(
        name="newton_second",
        topic="forces",
        equation="F = m*a",
        quantities={"F": _FORCE, "m": _MASS, "a": _ACCELERATION},
        formulas={"F": "m*a", "m": "F/a", "a": "F/m"},
        subjects=("a cart", "a sled", "a crate"),
        sentences={
            "F": ("A {m} kg cart speeds up at {a} m/s2. What force pushes it?",),
            "m": ("A push of {F} N speeds a sled up at {a} m/s2. How heavy is the sled?",),
            "a": ("A push of {F} N acts on a crate of {m} kg. How fast does it speed up?",),
        },
    ),
    Law(
        name="speed",
        topic="motion",
        equation="v = s/t",
        quantities={"v": _SPEED, "s": _DISTANCE, "t": _TIME},
        formulas={"v": "s/t", "s": "v*t", "t": "s/v"},
        subjects=("a runner", "a train", "a ball"),
    ),
    Law(
        name="momentum",
        topic="momentum",
        equation="p = m*v",
        quantities={"p": Quantity(("momentum",), "kg m/s", 6, 600), "m": _MASS, "v": _SPEED},
        formulas={"p": "m*v", "m": "p/v", "v": "p/m"},
        subjects=("a ball", "a truck", "a puck"),
    ),
    Law(
        name="kinetic_energy",
        topic="energy",
        equation="E = m*v*v/2",
        quantities={"E": Quantity(("kinetic energy",), "J", 4, 900),
                    "m": Quantity(("mass",), "kg", 2, 24, 2),
                    "v": Quantity(("speed", "velocity"), "m/s", 2, 12)},
        formulas={"E": "m/2*v*v", "m": "E*2/v/v"},
        subjects=("a ball", "a bike", "a stone"),
    ),
    Law(
        name="work",
        topic="energy",
        equation="W = F*s",
        quantities={"W": _WORK, "F": Quantity(("force", "net force"), "N", 4, 90),
                    "s": Quantity(("distance", "path length"), "m", 2, 12)},
        formulas={"W": "F*s", "F": "W/s", "s": "W/F"},
        subjects=("a box", "a sled", "a piano"),
    ),
    Law(
        name="ohm",
        topic="circuits",
        equation="V = I*R",
        quantities={"V": _VOLTAGE, "I": _CURRENT, "R": _RESISTANCE},
        formulas={"V": "I*R", "I": "V/R", "R": "V/I"},
        subjects=("a wire", "a lamp", "a heater"),
    ),
    Law(
        name="electric_power",
        topic="circuits",
        equation="P = V*I",
        quantities={"P": _POWER, "V": _VOLTAGE, "I": _CURRENT},
        formulas={"P": "V*I", "V": "P/I", "I": "P/V"},
        subjects=("a lamp", "a motor", "a heater"),
    ),
)

COMPOSITIONS = (
    Composition("newton_second", "F", "work", "F", "W"),
    Composition("ohm", "V", "electric_power", "V", "P"),
)

DOMAIN = Domain(
    name="science",
    description="Quantitative problems from school science: apply the right law, step by step.",
    answer_format="The solution ends with 'Answer: ' and a plain number in the unit of the problem.",
    grader="numeric",
    skills=build_skills(LAWS, COMPOSITIONS, FRAMES, RESERVED_FRAMES),
)
