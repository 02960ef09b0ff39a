"""Science: laws of mechanics, electricity, heat, gases, waves, chemistry and statistics.

Quantities that several laws share are module constants, so that their skills are easily confused:
the same givens, another unknown. Ranges are chosen for arithmetic that stays small, and units for
real magnitudes (mg and mmol, kg/L and kPa, km/s for seismic waves).
"""

from __future__ import annotations

from dataenv.tasks.procedural import special
from dataenv.tasks.procedural.laws import Composition, Frame, Law, Quantity, build_skills
from dataenv.tasks.procedural.skill import Domain

FRAMES = (
    Frame("{Subject} has {givens}. What is the {unknown}?", "{noun} {value} {unit}"),
    Frame("Given {givens}, find the {unknown} for {subject}.", "{noun} = {value} {unit}", ", "),
    Frame("For {subject}, {givens}. Compute the {unknown}.", "the {noun} is {value} {unit}"),
    Frame("Find the {unknown} for {subject} with {givens}.", "{noun} {value} {unit}", ", "),
    Frame("{Subject}: {givens}. How large is the {unknown}?", "{noun} {value} {unit}", ", "),
    Frame("Work out the {unknown} for {subject} when {givens}.", "{noun} is {value} {unit}"),
)

RESERVED_FRAMES = (
    Frame(
        "A student records {givens} for {subject}. Determine the {unknown}.",
        "{noun} of {value} {unit}",
    ),
    Frame("What {unknown} follows for {subject} from {givens}?", "{noun} {value} {unit}"),
)

_MASS = Quantity(("mass",), "kg", 2, 60)
_ACCELERATION = Quantity(("acceleration",), "m/s2", 2, 12)
_GRAVITY = Quantity(("gravity", "local gravity"), "m/s2", 2, 12)
_FORCE = Quantity(("force", "applied force"), "N", 4, 400)
_SMALL_FORCE = Quantity(("force", "applied force"), "N", 2, 60)
_NET_FORCE = Quantity(("net force", "total force"), "N", 4, 400)
_WEIGHT = Quantity(("weight", "downward force"), "N", 8, 400)
_DISTANCE = Quantity(("distance", "path length"), "m", 4, 600)
_SHORT_DISTANCE = Quantity(("distance", "path length"), "m", 2, 40)
_TIME = Quantity(("time", "duration"), "s", 2, 12)
_SPEED = Quantity(("speed", "velocity"), "m/s", 2, 60)
_WORK = Quantity(("work", "work done"), "J", 6, 900)
_VOLTAGE = Quantity(("voltage", "potential difference"), "V", 4, 400)
_CURRENT = Quantity(("current", "electric current"), "A", 2, 40)
_RESISTANCE = Quantity(("resistance", "wire resistance"), "ohm", 2, 60)
_PRESSURE_AREA = Quantity(("area", "contact area"), "sq m", 2, 40)
_DENSITY = Quantity(("density", "mass density"), "kg/L", 2, 20)
_VOLUME = Quantity(("volume", "filled space"), "L", 2, 40)
_AMOUNT = Quantity(("amount", "mole count"), "mmol", 2, 90)
_SAMPLE_MASS = Quantity(("mass", "sample mass"), "g", 2, 15)
_TEMPERATURE_RISE = Quantity(("temperature rise", "warming"), "K", 2, 20)
_MAGNIFICATION = Quantity(("magnification", "enlargement"), "", 2, 20)
_FREQUENCY = Quantity(("frequency", "wave frequency"), "Hz", 2, 60)
_RANGE = Quantity(("range", "data range"), "", 4, 400)

_MOTION = (
    Law(
        name="speed",
        topic="motion",
        equation="v = s/t",
        quantities={"v": _SPEED, "s": _DISTANCE, "t": _TIME},
        formulas={"v": "s/t", "s": "v*t", "t": "s/v"},
        subjects=("a runner", "a train", "a ball"),
        sentences={
            "v": ("A runner covers {s} m in {t} s. How fast does she run?",),
            "s": ("A train rolls for {t} s at a steady {v} m/s. How far does it get?",),
            "t": ("A ball rolls at {v} m/s over {s} m of floor. How many seconds pass?",),
        },
    ),
    Law(
        name="average_speed",
        topic="motion",
        equation="v = (a+b)/t",
        quantities={
            "v": Quantity(("average speed", "mean speed"), "m/s", 2, 60),
            "a": Quantity(("first distance", "first leg"), "m", 4, 200),
            "b": Quantity(("second distance", "second leg"), "m", 4, 200),
            "t": Quantity(("total time", "whole time"), "s", 2, 12),
        },
        formulas={"v": "(a+b)/t", "a": "v*t-b", "b": "v*t-a", "t": "(a+b)/v"},
        subjects=("a cyclist", "a skater", "a dog"),
        sentences={
            "v": (
                (
                    "A cyclist rides {a} m, then {b} m more, in {t} s altogether. "
                    "How fast is she on average?"
                ),
            ),
            "a": (
                (
                    "A skater averages {v} m/s over {t} s. His last stretch is {b} m. "
                    "How long was the stretch before it?"
                ),
            ),
            "b": (
                (
                    "A dog runs {a} m and then keeps going. It averages {v} m/s over {t} s. "
                    "How many metres did it add?"
                ),
            ),
            "t": (
                (
                    "A dog averages {v} m/s while it runs {a} m and then {b} m. "
                    "How many seconds does it run?"
                ),
            ),
        },
    ),
    Law(
        name="uniform_acceleration",
        topic="motion",
        equation="v = u+a*t",
        quantities={
            "v": Quantity(("final speed", "end speed"), "m/s", 10, 150),
            "u": Quantity(("initial speed", "start speed"), "m/s", 2, 60),
            "a": _ACCELERATION,
            "t": _TIME,
        },
        formulas={"v": "u+a*t", "u": "v-a*t", "a": "(v-u)/t", "t": "(v-u)/a"},
        subjects=("a car", "a rocket", "a bike"),
        sentences={
            "v": (
                "A car moving at {u} m/s gains speed at {a} m/s2 for {t} s. How fast is it then?",
            ),
            "u": (
                (
                    "After {t} s of speeding up at {a} m/s2 a bike moves at {v} m/s. "
                    "How fast was it before?"
                ),
            ),
            "a": ("In {t} s a rocket goes from {u} m/s to {v} m/s. How quickly does it speed up?",),
            "t": (
                (
                    "A car speeds up at {a} m/s2 from {u} m/s to {v} m/s. "
                    "How many seconds does that take?"
                ),
            ),
        },
    ),
    Law(
        name="distance_from_rest",
        topic="motion",
        equation="s = a*t*t/2",
        quantities={
            "s": Quantity(("distance", "path length"), "m", 4, 900),
            "a": Quantity(("acceleration",), "m/s2", 2, 40),
            "t": _TIME,
        },
        formulas={"s": "a*t/2*t", "a": "s/t/t*2"},
        subjects=("a cart from rest", "a car from rest", "a sled from rest"),
        sentences={
            "s": (
                "A cart starts at rest and speeds up at {a} m/s2 for {t} s. How far does it get?",
            ),
            "a": (
                (
                    "A sled starts at rest and covers {s} m in {t} s. "
                    "What constant acceleration does it have?"
                ),
            ),
        },
    ),
)

_FORCES = (
    Law(
        name="newton_second",
        topic="forces",
        equation="F = m*a",
        quantities={"F": _FORCE, "m": _MASS, "a": _ACCELERATION},
        formulas={"F": "m*a", "m": "F/a", "a": "F/m"},
        subjects=("a cart", "a sled", "a crate"),
        sentences={
            "F": ("A cart of {m} kg speeds up at {a} m/s2. What force pushes it?",),
            "m": ("A push of {F} N speeds a sled up at {a} m/s2. How many kilograms is the sled?",),
            "a": ("A push of {F} N acts on a crate of {m} kg. How quickly does it speed up?",),
        },
    ),
    Law(
        name="weight",
        topic="forces",
        equation="W = m*g",
        quantities={"W": _WEIGHT, "m": _MASS, "g": _GRAVITY},
        formulas={"W": "m*g", "m": "W/g", "g": "W/m"},
        subjects=("a rock", "a robot", "a suitcase"),
        sentences={
            "W": (
                (
                    "On a planet with gravity {g} m/s2 stands a robot of {m} kg. "
                    "What does it weigh in newtons?"
                ),
            ),
            "m": ("A rock weighs {W} N where gravity is {g} m/s2. How many kilograms is it?",),
            "g": (
                "A suitcase of {m} kg weighs {W} N on a far planet. How strong is gravity there?",
            ),
        },
    ),
    Law(
        name="net_force",
        topic="forces",
        equation="F = T-D",
        quantities={
            "F": _NET_FORCE,
            "T": Quantity(("pull", "pulling force"), "N", 20, 500),
            "D": Quantity(("friction", "drag"), "N", 4, 300),
        },
        formulas={"F": "T-D", "T": "F+D", "D": "T-F"},
        subjects=("a boat", "a wagon", "a sled"),
        sentences={
            "F": (
                (
                    "Horses pull a wagon with {T} N while friction resists with {D} N. "
                    "What force is left over?"
                ),
            ),
            "T": (
                (
                    "Water drags on a boat with {D} N, yet {F} N are left to speed it up. "
                    "How hard is it pulled?"
                ),
            ),
            "D": (
                (
                    "Of the {T} N that pull a sled only {F} N speed it up. "
                    "How much does friction take away?"
                ),
            ),
        },
    ),
    Law(
        name="hooke",
        topic="forces",
        equation="F = k*x",
        quantities={
            "F": Quantity(("spring force", "spring load"), "N", 4, 400),
            "k": Quantity(("stiffness", "spring constant"), "N/cm", 2, 60),
            "x": Quantity(("stretch", "extension"), "cm", 2, 20),
        },
        formulas={"F": "k*x", "k": "F/x", "x": "F/k"},
        subjects=("a spring", "a rubber band", "a coil"),
        sentences={
            "F": (
                (
                    "A spring of stiffness {k} N/cm is pulled {x} cm longer. "
                    "How hard does it pull back?"
                ),
            ),
            "k": ("Pulling with {F} N makes a coil {x} cm longer. How stiff is the coil?",),
            "x": (
                (
                    "A load of {F} N hangs from a spring of stiffness {k} N/cm. "
                    "By how much does it lengthen?"
                ),
            ),
        },
    ),
)

_MOMENTUM = (
    Law(
        name="momentum",
        topic="momentum",
        equation="p = m*v",
        quantities={
            "p": Quantity(("momentum", "linear momentum"), "kg m/s", 6, 600),
            "m": _MASS,
            "v": _SPEED,
        },
        formulas={"p": "m*v", "m": "p/v", "v": "p/m"},
        subjects=("a ball", "a truck", "a puck"),
        sentences={
            "p": ("A puck of {m} kg slides at {v} m/s. How much momentum does it carry?",),
            "m": (
                (
                    "A ball flies at {v} m/s and carries {p} kg m/s of momentum. "
                    "How many kilograms is it?"
                ),
            ),
            "v": ("A truck of {m} kg carries {p} kg m/s of momentum. How fast does it move?",),
        },
    ),
    Law(
        name="impulse",
        topic="momentum",
        equation="J = F*t",
        quantities={
            "J": Quantity(("impulse", "total impulse"), "N s", 8, 900),
            "F": _SMALL_FORCE,
            "t": _TIME,
        },
        formulas={"J": "F*t", "F": "J/t", "t": "J/F"},
        subjects=("a kick", "a thruster", "a brake"),
        sentences={
            "J": ("A thruster pushes with {F} N for {t} s. What impulse does it give?",),
            "F": ("Within {t} s a brake delivers an impulse of {J} N s. How hard does it push?",),
            "t": (
                (
                    "An impulse of {J} N s comes from a steady push of {F} N. "
                    "How long does the push last?"
                ),
            ),
        },
    ),
    Law(
        name="sticking_collision",
        topic="momentum",
        equation="m*u = (m+n)*v",
        quantities={
            "m": Quantity(("first mass", "moving mass"), "kg", 1, 12),
            "n": Quantity(("second mass", "resting mass"), "kg", 1, 12),
            "u": Quantity(("speed before", "impact speed"), "cm/s", 2, 90),
            "v": Quantity(("speed after", "joint speed"), "cm/s", 1, 60),
        },
        formulas={"v": "m*u/(m+n)", "u": "(m+n)*v/m", "n": "m*u/v-m", "m": "n*v/(u-v)"},
        subjects=("a sticking collision", "a coupling of wagons", "a clay impact"),
        sentences={
            "v": (
                (
                    "A wagon of {m} kg at {u} cm/s hits and couples to a resting one of {n} kg. "
                    "How fast do both roll?"
                ),
            ),
            "u": (
                (
                    "A cart of {m} kg sticks to a resting cart of {n} kg. They roll at {v} cm/s. "
                    "How fast was the hit?"
                ),
            ),
            "n": (
                (
                    "Clay of {m} kg flies at {u} cm/s into a resting block. They slide at {v} cm/s. "
                    "How heavy is the block?"
                ),
            ),
            "m": (
                (
                    "Clay at {u} cm/s hits a resting block of {n} kg. Stuck together they move at "
                    "{v} cm/s. How heavy is the clay?"
                ),
            ),
        },
    ),
)

_ENERGY = (
    Law(
        name="work",
        topic="energy",
        equation="W = F*s",
        quantities={"W": _WORK, "F": _SMALL_FORCE, "s": _SHORT_DISTANCE},
        formulas={"W": "F*s", "F": "W/s", "s": "W/F"},
        subjects=("a box", "a sled", "a piano"),
        sentences={
            "W": (
                (
                    "Someone drags a box {s} m along with a pull of {F} N. "
                    "How many joules does that cost?"
                ),
            ),
            "F": ("It takes {W} J to push a piano {s} m along. How hard is the push?",),
            "s": ("A pull of {F} N on a sled uses up {W} J. How far does the sled move?",),
        },
    ),
    Law(
        name="kinetic_energy",
        topic="energy",
        equation="E = m*v*v/2",
        quantities={
            "E": Quantity(("kinetic energy", "motion energy"), "J", 4, 900),
            "m": _MASS,
            "v": Quantity(("speed", "velocity"), "m/s", 2, 12),
        },
        formulas={"E": "m*v/2*v", "m": "E/v/v*2"},
        subjects=("a ball", "a bike", "a puck"),
        sentences={
            "E": ("A puck of {m} kg slides at {v} m/s. How much motion energy is that?",),
            "m": (
                (
                    "A ball moving at {v} m/s carries {E} J of motion energy. "
                    "How many kilograms is it?"
                ),
            ),
        },
    ),
    Law(
        name="potential_energy",
        topic="energy",
        equation="E = m*g*h",
        quantities={
            "E": Quantity(("potential energy", "height energy"), "J", 8, 990),
            "m": Quantity(("mass",), "kg", 2, 16),
            "g": _GRAVITY,
            "h": Quantity(("height", "elevation"), "m", 2, 16),
        },
        formulas={"E": "m*g*h", "m": "E/g/h", "g": "E/m/h", "h": "E/m/g"},
        subjects=("a rock", "a bucket", "a climber"),
        sentences={
            "E": (
                (
                    "A bucket of {m} kg is lifted {h} m where gravity is {g} m/s2. "
                    "How many joules does it store?"
                ),
            ),
            "m": (
                (
                    "Lifting a rock by {h} m against gravity of {g} m/s2 takes {E} J. "
                    "How many kilograms is the rock?"
                ),
            ),
            "g": (
                (
                    "On a strange planet it takes {E} J to lift {m} kg by {h} m. "
                    "How strong is gravity there?"
                ),
            ),
            "h": (
                (
                    "A climber of {m} kg gains {E} J while climbing under gravity of {g} m/s2. "
                    "How far up does he get?"
                ),
            ),
        },
    ),
    Law(
        name="power",
        topic="energy",
        equation="P = W/t",
        quantities={"P": Quantity(("power", "power output"), "W", 2, 90), "W": _WORK, "t": _TIME},
        formulas={"P": "W/t", "W": "P*t", "t": "W/P"},
        subjects=("a crane", "a winch", "a pump"),
        sentences={
            "P": ("A crane does {W} J of lifting in {t} s. How powerful is it in watts?",),
            "W": ("A pump runs at {P} W for {t} s. How many joules of work does it do?",),
            "t": ("A winch of {P} W has {W} J of work to do. How many seconds does it need?",),
        },
    ),
)

_MACHINES = (
    Law(
        name="torque",
        topic="machines",
        equation="M = F*d",
        quantities={
            "M": Quantity(("torque", "turning moment"), "N m", 6, 900),
            "F": _SMALL_FORCE,
            "d": Quantity(("arm", "lever arm"), "m", 2, 20),
        },
        formulas={"M": "F*d", "F": "M/d", "d": "M/F"},
        subjects=("a wrench", "a crane arm", "a gate"),
        sentences={
            "M": (
                "Someone pushes a gate with {F} N at {d} m from its hinge. What torque acts on it?",
            ),
            "F": (
                (
                    "At {d} m from its pivot, how hard must a crane arm be pulled "
                    "to get a torque of {M} N m?"
                ),
            ),
            "d": ("A pull of {F} N gives a torque of {M} N m. How far from the pivot is it?",),
        },
    ),
    Law(
        name="lever",
        topic="machines",
        equation="E*a = L*b",
        quantities={
            "E": Quantity(("effort", "effort force"), "N", 2, 60),
            "a": Quantity(("effort arm", "long arm"), "cm", 2, 30),
            "L": Quantity(("load", "load force"), "N", 2, 90),
            "b": Quantity(("load arm", "short arm"), "cm", 2, 20),
        },
        formulas={"E": "L*b/a", "a": "L*b/E", "L": "E*a/b", "b": "E*a/L"},
        subjects=("a lever", "a seesaw", "a crowbar"),
        sentences={
            "E": (
                (
                    "On a balanced lever {L} N sit {b} cm from the pivot. "
                    "What push at {a} cm on the other side holds them?"
                ),
            ),
            "a": (
                "A seesaw holds {L} N at {b} cm from the pivot. How far out do {E} N balance it?",
            ),
            "L": (
                (
                    "Pushing a crowbar with {E} N at {a} cm from its pivot balances what weight "
                    "at {b} cm?"
                ),
            ),
            "b": (
                (
                    "A push of {E} N at {a} cm from the pivot balances {L} N. "
                    "How close to the pivot are these?"
                ),
            ),
        },
    ),
    Law(
        name="mechanical_advantage",
        topic="machines",
        equation="A = L/E",
        quantities={
            "A": Quantity(("advantage", "force gain"), "", 2, 20),
            "L": Quantity(("load", "load force"), "N", 6, 900),
            "E": Quantity(("effort", "effort force"), "N", 2, 90),
        },
        formulas={"A": "L/E", "L": "A*E", "E": "L/A"},
        subjects=("a pulley", "a lever", "a jack"),
        sentences={
            "A": (
                (
                    "A jack lifts {L} N with a push of {E} N. "
                    "By what factor does it multiply the push?"
                ),
            ),
            "L": ("A pulley makes a pull of {E} N {A} times stronger. What load can it lift?",),
            "E": ("With a machine that multiplies force {A} times, what pull lifts {L} N?",),
        },
    ),
)

_CIRCUITS = (
    Law(
        name="ohm",
        topic="circuits",
        equation="V = I*R",
        quantities={"V": _VOLTAGE, "I": _CURRENT, "R": _RESISTANCE},
        formulas={"V": "I*R", "I": "V/R", "R": "V/I"},
        subjects=("a wire", "a lamp", "a heater"),
        sentences={
            "V": ("A wire of {R} ohm carries {I} A. How many volts lie across it?",),
            "I": ("A lamp of {R} ohm is plugged into {V} V. How many amperes flow?",),
            "R": ("With {V} V across it a heater draws {I} A. How many ohms does it have?",),
        },
    ),
    Law(
        name="electric_power",
        topic="circuits",
        equation="P = V*I",
        quantities={
            "P": Quantity(("electric power", "power use"), "W", 4, 600),
            "V": Quantity(("voltage", "potential difference"), "V", 2, 90),
            "I": _CURRENT,
        },
        formulas={"P": "V*I", "V": "P/I", "I": "P/V"},
        subjects=("a lamp", "a motor", "a heater"),
        sentences={
            "P": ("A motor draws {I} A from a supply of {V} V. How many watts does it use?",),
            "V": ("A heater uses {P} W while it draws {I} A. What supply voltage feeds it?",),
            "I": ("A lamp uses {P} W on a supply of {V} V. How many amperes does it draw?",),
        },
    ),
    Law(
        name="series_resistance",
        topic="circuits",
        equation="R = A+B",
        quantities={
            "R": Quantity(("total resistance", "series resistance"), "ohm", 20, 400),
            "A": Quantity(("first resistor", "left resistor"), "ohm", 2, 150),
            "B": Quantity(("second resistor", "right resistor"), "ohm", 2, 150),
        },
        formulas={"R": "A+B", "A": "R-B", "B": "R-A"},
        subjects=("a series circuit", "a series chain", "a series string"),
        sentences={
            "R": (
                (
                    "Resistors of {A} ohm and {B} ohm are joined in a row. "
                    "How many ohms do they make together?"
                ),
            ),
            "A": (
                (
                    "A row of resistors makes {R} ohm, and its last one is {B} ohm. "
                    "How many ohms has the other?"
                ),
            ),
            "B": ("Behind a resistor of {A} ohm, what must be joined in a row to reach {R} ohm?",),
        },
    ),
    Law(
        name="charge",
        topic="circuits",
        equation="Q = I*t",
        quantities={
            "Q": Quantity(("charge", "electric charge"), "C", 6, 900),
            "I": _CURRENT,
            "t": Quantity(("time", "duration"), "s", 2, 60),
        },
        formulas={"Q": "I*t", "I": "Q/t", "t": "Q/I"},
        subjects=("a battery", "a wire", "a charger"),
        sentences={
            "Q": ("A charger delivers {I} A for {t} s. How many coulombs flow?",),
            "I": ("Through a wire {Q} C flow in {t} s. How many amperes is that?",),
            "t": ("A battery gives {I} A until {Q} C have flowed. How many seconds is that?",),
        },
    ),
)

_HEAT = (
    Law(
        name="heat",
        topic="heat",
        equation="Q = m*c*d",
        quantities={
            "Q": Quantity(("heat", "heat energy"), "J", 8, 990),
            "m": _SAMPLE_MASS,
            "c": Quantity(("specific heat", "heat capacity"), "J/g K", 2, 9),
            "d": _TEMPERATURE_RISE,
        },
        formulas={"Q": "m*c*d", "m": "Q/c/d", "c": "Q/m/d", "d": "Q/m/c"},
        subjects=("a liquid", "a soup sample", "an oil sample"),
        sentences={
            "Q": (
                (
                    "How many joules warm {m} g of a liquid by {d} K if its specific heat is "
                    "{c} J/g K?"
                ),
            ),
            "m": (
                (
                    "A liquid with specific heat {c} J/g K takes in {Q} J and warms by {d} K. "
                    "How many grams are there?"
                ),
            ),
            "c": ("It takes {Q} J to warm {m} g of oil by {d} K. What is its specific heat?",),
            "d": (
                (
                    "A burner gives {Q} J to {m} g of soup with specific heat {c} J/g K. "
                    "By how much does it warm?"
                ),
            ),
        },
    ),
    Law(
        name="temperature_rise",
        topic="heat",
        equation="d = f-i",
        quantities={
            "d": _TEMPERATURE_RISE,
            "f": Quantity(("final temperature", "end temperature"), "C", 20, 99),
            "i": Quantity(("initial temperature", "start temperature"), "C", 5, 80),
        },
        formulas={"d": "f-i", "f": "i+d", "i": "f-d"},
        subjects=("a liquid", "a metal block", "a cup of tea"),
        sentences={
            "d": ("A metal block warms from {i} C to {f} C. By how many degrees does it warm?",),
            "f": ("Tea at {i} C is warmed by {d} K. How hot is it now?",),
            "i": ("After warming by {d} K a liquid is at {f} C. How warm was it before?",),
        },
    ),
    Law(
        name="latent_heat",
        topic="heat",
        equation="Q = m*L",
        quantities={
            "Q": Quantity(("melting heat", "heat needed"), "J", 20, 990),
            "m": Quantity(("mass", "sample mass"), "g", 2, 40),
            "L": Quantity(("latent heat", "melting energy"), "J/g", 5, 50),
        },
        formulas={"Q": "m*L", "m": "Q/L", "L": "Q/m"},
        subjects=("a melting metal", "a melting wax", "a melting solder"),
        sentences={
            "Q": (
                (
                    "A metal with latent heat {L} J/g is at its melting point. "
                    "How many joules melt {m} g of it?"
                ),
            ),
            "m": ("How many grams of wax with latent heat {L} J/g melt when {Q} J go in?",),
            "L": ("Melting {m} g of solder takes {Q} J. How many joules does each gram need?",),
        },
    ),
)

_GASES = (
    Law(
        name="boyle",
        topic="gases",
        equation="p*V = q*U",
        quantities={
            "p": Quantity(("first pressure", "old pressure"), "atm", 2, 20),
            "V": Quantity(("first volume", "old volume"), "L", 2, 60),
            "q": Quantity(("second pressure", "new pressure"), "atm", 2, 20),
            "U": Quantity(("second volume", "new volume"), "L", 2, 60),
        },
        formulas={"p": "q*U/V", "V": "q*U/p", "q": "p*V/U", "U": "p*V/q"},
        subjects=(
            "a gas at fixed temperature",
            "air at fixed temperature",
            "helium at fixed temperature",
        ),
        sentences={
            "p": (
                (
                    "Gas filling {V} L is brought at constant temperature to {U} L and {q} atm. "
                    "What pressure did it have?"
                ),
            ),
            "V": (
                (
                    "Gas at {p} atm is moved at constant temperature into {U} L, giving {q} atm. "
                    "How many litres did it fill?"
                ),
            ),
            "q": (
                (
                    "Gas at {p} atm in {V} L is slowly brought to {U} L at constant temperature. "
                    "What pressure results?"
                ),
            ),
            "U": (
                (
                    "A piston slowly brings {V} L of gas from {p} atm to {q} atm at constant "
                    "temperature. How many litres are left?"
                ),
            ),
        },
    ),
    Law(
        name="avogadro",
        topic="gases",
        equation="V/n = U/k",
        quantities={
            "V": Quantity(("first volume", "old volume"), "mL", 2, 90),
            "n": Quantity(("first amount", "old amount"), "mmol", 2, 12),
            "U": Quantity(("second volume", "new volume"), "mL", 2, 90),
            "k": Quantity(("second amount", "new amount"), "mmol", 2, 12),
        },
        formulas={"V": "U/k*n", "n": "V*k/U", "U": "V/n*k", "k": "U*n/V"},
        subjects=("a gas at fixed pressure", "a soft balloon", "a gas in a free piston"),
        sentences={
            "V": (
                (
                    "At the same pressure {k} mmol of a gas fill {U} mL. "
                    "How many millilitres did {n} mmol of it fill?"
                ),
            ),
            "n": (
                (
                    "A soft balloon grows from {V} mL to {U} mL and ends with {k} mmol of gas. "
                    "How much gas did it hold before?"
                ),
            ),
            "U": (
                (
                    "A soft balloon holds {n} mmol of gas in {V} mL. "
                    "How big is it once it holds {k} mmol?"
                ),
            ),
            "k": (
                (
                    "A balloon of {V} mL with {n} mmol is filled to {U} mL at the same pressure. "
                    "How much gas does it hold now?"
                ),
            ),
        },
    ),
    Law(
        name="dalton",
        topic="gases",
        equation="p = a+b",
        quantities={
            "p": Quantity(("total pressure", "mixture pressure"), "kPa", 20, 300),
            "a": Quantity(("oxygen pressure", "oxygen part"), "kPa", 2, 120),
            "b": Quantity(("nitrogen pressure", "nitrogen part"), "kPa", 2, 120),
        },
        formulas={"p": "a+b", "a": "p-b", "b": "p-a"},
        subjects=("a gas mixture", "a diving tank", "an air sample"),
        sentences={
            "p": (
                (
                    "In a tank oxygen alone presses with {a} kPa and nitrogen with {b} kPa. "
                    "What does the gauge show?"
                ),
            ),
            "a": (
                (
                    "A tank of oxygen and nitrogen shows {p} kPa, of which nitrogen makes {b} kPa. "
                    "What does oxygen make?"
                ),
            ),
            "b": (
                (
                    "Oxygen makes {a} kPa of the {p} kPa in a tank. The rest is nitrogen. "
                    "What does nitrogen make?"
                ),
            ),
        },
    ),
    Law(
        name="molar_volume",
        topic="gases",
        equation="V = n*M",
        quantities={
            "V": Quantity(("gas volume", "gas space"), "mL", 40, 990),
            "n": _AMOUNT,
            "M": Quantity(("molar volume", "mole volume"), "mL/mmol", 2, 40),
        },
        formulas={"V": "n*M", "n": "V/M", "M": "V/n"},
        subjects=("a pure gas", "a gas bubble", "a gas jar"),
        sentences={
            "V": ("Each mmol of a gas takes up {M} mL. How much room do {n} mmol take?",),
            "n": (
                (
                    "A jar holds {V} mL of a gas, and every mmol takes {M} mL. "
                    "How many mmol are inside?"
                ),
            ),
            "M": ("A gas jar holds {n} mmol in {V} mL. How much room does one mmol take?",),
        },
    ),
)

_WAVES = (
    Law(
        name="wave_speed",
        topic="waves",
        equation="v = f*l",
        quantities={
            "v": Quantity(("wave speed", "wave velocity"), "m/s", 4, 600),
            "f": _FREQUENCY,
            "l": Quantity(("wavelength", "crest spacing"), "m", 2, 20),
        },
        formulas={"v": "f*l", "f": "v/l", "l": "v/f"},
        subjects=("a water wave", "a rope wave", "a sound wave"),
        sentences={
            "v": ("Waves on a rope are {l} m long and come at {f} Hz. How fast do they travel?",),
            "f": (
                (
                    "Waves travel at {v} m/s with crests {l} m apart. "
                    "How many crests pass each second?"
                ),
            ),
            "l": ("A sound of {f} Hz travels at {v} m/s. How long is one of its waves?",),
        },
    ),
    Law(
        name="frequency",
        topic="waves",
        equation="f = n/t",
        quantities={
            "f": _FREQUENCY,
            "n": Quantity(("wave count", "cycle count"), "", 6, 900),
            "t": _TIME,
        },
        formulas={"f": "n/t", "n": "f*t", "t": "n/f"},
        subjects=("a water wave", "a string wave", "a rope wave"),
        sentences={
            "f": ("A string swings {n} times in {t} s. At how many hertz does it swing?",),
            "n": ("Waves reach a buoy at {f} Hz. How many of them arrive in {t} s?",),
            "t": ("A string swings at {f} Hz. How many seconds do {n} swings take?",),
        },
    ),
    Law(
        name="echo",
        topic="waves",
        equation="s = v*t/2",
        quantities={
            "s": Quantity(("depth", "reflector depth"), "km", 4, 300),
            "v": Quantity(("pulse speed", "signal speed"), "km/s", 2, 12),
            "t": Quantity(("echo time", "return time"), "s", 2, 60),
        },
        formulas={"s": "v*t/2", "v": "s/t*2", "t": "s/v*2"},
        subjects=("a seismic pulse", "a rock layer", "an earth probe"),
        sentences={
            "s": (
                (
                    "A pulse goes down into rock at {v} km/s, and its echo is back after {t} s. "
                    "How deep did it reach?"
                ),
            ),
            "v": (
                (
                    "The echo from a layer {s} km deep is back after {t} s. "
                    "How fast does the pulse travel?"
                ),
            ),
            "t": ("A pulse travels at {v} km/s to a layer {s} km deep. When is its echo back?",),
        },
    ),
)

_OPTICS = (
    Law(
        name="magnification",
        topic="optics",
        equation="M = i/o",
        quantities={
            "M": _MAGNIFICATION,
            "i": Quantity(("image height", "image size"), "mm", 4, 600),
            "o": Quantity(("object height", "object size"), "mm", 2, 90),
        },
        formulas={"M": "i/o", "i": "M*o", "o": "i/M"},
        subjects=("a microscope", "a projector", "a lens"),
        sentences={
            "M": (
                "An insect {o} mm tall looks {i} mm tall in a lens. How many times larger is that?",
            ),
            "i": (
                (
                    "A projector enlarges a slide {o} mm tall by a factor of {M}. "
                    "How tall is its picture?"
                ),
            ),
            "o": ("Enlarged {M} times, a seed looks {i} mm tall. How tall is it really?",),
        },
    ),
    Law(
        name="image_distance",
        topic="optics",
        equation="M = b/a",
        quantities={
            "M": _MAGNIFICATION,
            "b": Quantity(("image distance", "screen distance"), "cm", 4, 600),
            "a": Quantity(("object distance", "slide distance"), "cm", 2, 40),
        },
        formulas={"M": "b/a", "b": "M*a", "a": "b/M"},
        subjects=("a projector", "a lens", "a camera"),
        sentences={
            "M": (
                (
                    "A slide stands {a} cm before a lens, the sharp picture {b} cm behind it. "
                    "How many times larger is the picture?"
                ),
            ),
            "b": (
                (
                    "A candle {a} cm before a lens must appear {M} times larger. "
                    "How far behind the lens is the screen?"
                ),
            ),
            "a": (
                (
                    "A screen {b} cm behind a lens shows a slide {M} times larger. "
                    "How far before the lens is the slide?"
                ),
            ),
        },
    ),
    Law(
        name="illuminance",
        topic="optics",
        equation="E = I/(d*d)",
        quantities={
            "E": Quantity(("brightness", "illuminance"), "lx", 2, 90),
            "I": Quantity(("intensity", "lamp intensity"), "cd", 8, 900),
            "d": Quantity(("distance", "lamp distance"), "m", 2, 12),
        },
        formulas={"E": "I/d/d", "I": "E*d*d"},
        subjects=("a lamp", "a street light", "a torch"),
        sentences={
            "E": ("A lamp of {I} cd shines on a page {d} m away. How many lux reach the page?",),
            "I": ("A wall {d} m from a torch gets {E} lx. How many candela has the torch?",),
        },
    ),
)

_FLUIDS = (
    Law(
        name="density",
        topic="fluids",
        equation="d = m/V",
        quantities={
            "d": _DENSITY,
            "m": Quantity(("mass", "total mass"), "kg", 4, 600),
            "V": _VOLUME,
        },
        formulas={"d": "m/V", "m": "d*V", "V": "m/d"},
        subjects=("a liquid", "a slurry", "an ore sample"),
        sentences={
            "d": (
                (
                    "A tank holds {V} L of slurry with a mass of {m} kg. "
                    "How many kilograms is each litre?"
                ),
            ),
            "m": ("Each litre of a liquid has {d} kg. How many kilograms are {V} L of it?",),
            "V": ("An ore has {d} kg in every litre. How many litres do {m} kg fill?",),
        },
    ),
    Law(
        name="pressure",
        topic="fluids",
        equation="p = F/A",
        quantities={
            "p": Quantity(("pressure", "surface pressure"), "Pa", 2, 90),
            "F": _FORCE,
            "A": _PRESSURE_AREA,
        },
        formulas={"p": "F/A", "F": "p*A", "A": "F/p"},
        subjects=("a piston", "a plate", "a tank floor"),
        sentences={
            "p": (
                (
                    "A force of {F} N is spread evenly over {A} sq m of floor. "
                    "How many pascals is that?"
                ),
            ),
            "F": ("Air presses with {p} Pa on a plate of {A} sq m. How many newtons is that?",),
            "A": ("A piston must turn {F} N into {p} Pa. How many square metres must it have?",),
        },
    ),
    Law(
        name="depth_pressure",
        topic="fluids",
        equation="p = d*g*h",
        quantities={
            "p": Quantity(("pressure", "liquid pressure"), "kPa", 8, 990),
            "d": Quantity(("density", "liquid density"), "kg/L", 1, 12),
            "g": _GRAVITY,
            "h": Quantity(("depth", "liquid depth"), "m", 2, 20),
        },
        formulas={"p": "d*g*h", "d": "p/g/h", "g": "p/d/h", "h": "p/d/g"},
        subjects=("a lake", "a deep tank", "a diver"),
        sentences={
            "p": (
                (
                    "What pressure does a liquid of {d} kg/L make {h} m down "
                    "where gravity is {g} m/s2?"
                ),
            ),
            "d": (
                (
                    "At {h} m down a tank the liquid makes {p} kPa under gravity of {g} m/s2. "
                    "How dense is it?"
                ),
            ),
            "g": (
                (
                    "A liquid of {d} kg/L on some moon makes {p} kPa at {h} m down. "
                    "How strong is gravity there?"
                ),
            ),
            "h": (
                (
                    "Under gravity of {g} m/s2 a liquid of {d} kg/L makes {p} kPa. "
                    "How far down is that?"
                ),
            ),
        },
    ),
    Law(
        name="buoyancy",
        topic="fluids",
        equation="F = d*g*V",
        quantities={
            "F": Quantity(("buoyancy", "upward force"), "N", 8, 990),
            "d": Quantity(("density", "liquid density"), "kg/L", 1, 12),
            "g": _GRAVITY,
            "V": Quantity(("volume", "sunken volume"), "L", 2, 20),
        },
        formulas={"F": "d*g*V", "d": "F/g/V", "g": "F/d/V", "V": "F/d/g"},
        subjects=("a sunken ball", "a float", "a diver"),
        sentences={
            "F": (
                (
                    "A ball of {V} L is held under a liquid of {d} kg/L. Gravity is {g} m/s2. "
                    "How hard is it pushed up?"
                ),
            ),
            "d": (
                (
                    "Under gravity of {g} m/s2 a liquid lifts a sunken ball of {V} L with {F} N. "
                    "How dense is the liquid?"
                ),
            ),
            "g": (
                (
                    "A liquid of {d} kg/L lifts a sunken float of {V} L with {F} N. "
                    "How strong is gravity?"
                ),
            ),
            "V": (
                (
                    "A sunken float is lifted with {F} N by a liquid of {d} kg/L. "
                    "Gravity is {g} m/s2. How many litres is the float?"
                ),
            ),
        },
    ),
)

_CHEMISTRY = (
    Law(
        name="moles",
        topic="chemistry",
        equation="n = m/M",
        quantities={
            "n": _AMOUNT,
            "m": Quantity(("mass", "sample mass"), "mg", 6, 900),
            "M": Quantity(("molar mass", "mole mass"), "g/mol", 2, 30),
        },
        formulas={"n": "m/M", "m": "n*M", "M": "m/n"},
        subjects=("a pure substance", "a compound", "an element"),
        sentences={
            "n": ("How many mmol are in {m} mg of an element with {M} g/mol?",),
            "m": (
                (
                    "A recipe needs {n} mmol of a compound with {M} g/mol. "
                    "How many milligrams is that?"
                ),
            ),
            "M": (
                (
                    "A chemist finds that {m} mg of a compound are {n} mmol. "
                    "How many grams has one mole?"
                ),
            ),
        },
    ),
    Law(
        name="concentration",
        topic="chemistry",
        equation="c = n/V",
        quantities={
            "c": Quantity(("concentration", "molarity"), "mmol/L", 2, 90),
            "n": Quantity(("amount", "mole count"), "mmol", 6, 600),
            "V": Quantity(("volume", "liquid volume"), "L", 2, 12),
        },
        formulas={"c": "n/V", "n": "c*V", "V": "n/c"},
        subjects=("a salt solution", "a sugar solution", "an acid"),
        sentences={
            "c": (
                (
                    "Someone dissolves {n} mmol of salt to make {V} L of solution. "
                    "How much salt is in each litre?"
                ),
            ),
            "n": ("A bucket holds {V} L of sugar water with {c} mmol/L. How much sugar is in it?",),
            "V": ("How many litres of acid with {c} mmol/L can be made from {n} mmol?",),
        },
    ),
    Law(
        name="dilution",
        topic="chemistry",
        equation="c*V = d*U",
        quantities={
            "c": Quantity(("first concentration", "old concentration"), "mmol/L", 2, 60),
            "V": Quantity(("first volume", "old volume"), "mL", 2, 20),
            "d": Quantity(("second concentration", "new concentration"), "mmol/L", 2, 60),
            "U": Quantity(("second volume", "new volume"), "mL", 2, 40),
        },
        formulas={"c": "d*U/V", "V": "d*U/c", "d": "c*V/U", "U": "c*V/d"},
        subjects=("a dilution", "a diluted dye", "a diluted acid"),
        sentences={
            "c": (
                (
                    "Water brings {V} mL of acid to {U} mL, which then has {d} mmol/L. "
                    "How strong was the acid?"
                ),
            ),
            "V": ("How many mL of dye at {c} mmol/L must be used to mix {U} mL at {d} mmol/L?",),
            "d": (
                (
                    "Acid of {c} mmol/L, {V} mL in all, is brought to {U} mL with water. "
                    "How strong is it now?"
                ),
            ),
            "U": (
                (
                    "A chemist has {V} mL of dye at {c} mmol/L and wants {d} mmol/L. "
                    "To how many mL must it be brought?"
                ),
            ),
        },
    ),
    Law(
        name="reaction_rate",
        topic="chemistry",
        equation="r = c/t",
        quantities={
            "r": Quantity(("rate", "reaction rate"), "mmol/L s", 2, 60),
            "c": Quantity(("concentration change", "concentration drop"), "mmol/L", 6, 600),
            "t": _TIME,
        },
        formulas={"r": "c/t", "c": "r*t", "t": "c/r"},
        subjects=("a reaction", "a bleaching", "a fermentation"),
        sentences={
            "r": (
                (
                    "During a reaction the acid falls by {c} mmol/L in {t} s. "
                    "How much is lost each second?"
                ),
            ),
            "c": ("A dye bleaches at {r} mmol/L s. How far does its concentration fall in {t} s?",),
            "t": (
                (
                    "Sugar must fall by {c} mmol/L and does so at {r} mmol/L s. "
                    "How many seconds does this need?"
                ),
            ),
        },
    ),
)

_ATOMS = (
    Law(
        name="mass_number",
        topic="atoms",
        equation="A = Z+N",
        quantities={
            "A": Quantity(("mass number", "nucleon count"), "", 50, 120),
            "Z": Quantity(("proton count", "proton number"), "", 6, 50),
            "N": Quantity(("neutron count", "neutron number"), "", 6, 70),
        },
        formulas={"A": "Z+N", "Z": "A-N", "N": "A-Z"},
        subjects=("an atom", "a nucleus", "an isotope"),
        sentences={
            "A": (
                "A nucleus is made of {Z} protons and {N} neutrons. What mass number does it get?",
            ),
            "Z": ("Of the {A} particles in a nucleus {N} are neutrons. How many are protons?",),
            "N": (
                "An isotope with {Z} protons has mass number {A}. How many neutrons does it hold?",
            ),
        },
    ),
    Law(
        name="half_lives",
        topic="atoms",
        equation="n = t/h",
        quantities={
            "n": Quantity(("halvings", "halving count"), "", 2, 20),
            "t": Quantity(("elapsed time", "waiting time"), "days", 6, 600),
            "h": Quantity(("halving time", "half life"), "days", 2, 60),
        },
        formulas={"n": "t/h", "t": "n*h", "h": "t/n"},
        subjects=("an isotope", "a radioactive sample", "a tracer"),
        sentences={
            "n": ("A tracer halves every {h} days. How often has it halved after {t} days?",),
            "t": (
                (
                    "How many days must an isotope with a half life of {h} days wait "
                    "to halve {n} times?"
                ),
            ),
            "h": ("A sample halves {n} times within {t} days. How many days is its half life?",),
        },
    ),
    Law(
        name="activity",
        topic="atoms",
        equation="A = N/t",
        quantities={
            "A": Quantity(("activity", "decay rate"), "Bq", 2, 90),
            "N": Quantity(("decays", "decay count"), "", 6, 900),
            "t": _TIME,
        },
        formulas={"A": "N/t", "N": "A*t", "t": "N/A"},
        subjects=("a radioactive sample", "a tracer", "a rock"),
        sentences={
            "A": ("In a rock {N} atoms decay within {t} s. How many becquerels is that?",),
            "N": ("A tracer has {A} Bq. How many of its atoms decay in {t} s?",),
            "t": (
                "A counter waits for {N} decays of a sample with {A} Bq. How many seconds is that?",
            ),
        },
    ),
)

_STATISTICS = (
    Law(
        name="mean_of_three",
        topic="statistics",
        equation="M = (a+b+c)/3",
        quantities={
            "M": Quantity(("mean", "average"), "", 10, 90),
            "a": Quantity(("first value", "value one"), "", 2, 90),
            "b": Quantity(("second value", "value two"), "", 2, 90),
            "c": Quantity(("third value", "value three"), "", 2, 90),
        },
        formulas={"M": "(a+b+c)/3", "a": "M*3-b-c", "b": "M*3-a-c", "c": "M*3-a-b"},
        subjects=("a set of three", "a triple", "a sample of three"),
        sentences={
            "M": ("Three pupils score {a}, {b} and {c} points. What is their average?",),
            "a": (
                (
                    "Three pupils average {M} points. The later two scored {b} and {c}. "
                    "What did the first one score?"
                ),
            ),
            "b": (
                (
                    "Three throws average {M} points. The first and last gave {a} and {c}. "
                    "What did the middle one give?"
                ),
            ),
            "c": (
                (
                    "After throws of {a} and {b} points, what must a third give "
                    "to make the average {M}?"
                ),
            ),
        },
    ),
    Law(
        name="data_range",
        topic="statistics",
        equation="r = h-l",
        quantities={
            "r": _RANGE,
            "h": Quantity(("highest value", "maximum"), "", 20, 500),
            "l": Quantity(("lowest value", "minimum"), "", 2, 300),
        },
        formulas={"r": "h-l", "h": "l+r", "l": "h-r"},
        subjects=("a data set", "a survey", "a class test"),
        sentences={
            "r": ("Marks in a test run from {l} up to {h}. How wide is their range?",),
            "h": ("Survey answers start at {l} and have a range of {r}. Where do they end?",),
            "l": (
                (
                    "The largest mark is {h}, and all marks have a range of {r}. "
                    "Which mark is smallest?"
                ),
            ),
        },
    ),
    Law(
        name="class_width",
        topic="statistics",
        equation="w = r/k",
        quantities={
            "w": Quantity(("class width", "bin width"), "", 2, 60),
            "r": _RANGE,
            "k": Quantity(("class count", "bin count"), "", 2, 20),
        },
        formulas={"w": "r/k", "r": "w*k", "k": "r/w"},
        subjects=("a histogram", "a data set", "a table"),
        sentences={
            "w": ("A histogram splits a range of {r} into {k} equal bars. How wide is each bar?",),
            "r": ("A histogram has {k} bars, each {w} wide. What range do they cover?",),
            "k": ("How many bars, each {w} wide, cover a data range of {r}?",),
        },
    ),
    Law(
        name="z_score",
        topic="statistics",
        equation="z = (x-m)/s",
        quantities={
            "z": Quantity(("standard score", "z score"), "", 1, 6),
            "x": Quantity(("value", "reading"), "", 30, 150),
            "m": Quantity(("mean", "average"), "", 20, 90),
            "s": Quantity(("deviation", "standard deviation"), "", 2, 20),
        },
        formulas={"z": "(x-m)/s", "x": "m+z*s", "m": "x-z*s", "s": "(x-m)/z"},
        subjects=("a test result", "a measurement", "a survey answer"),
        sentences={
            "z": (
                (
                    "Marks average {m} with standard deviation {s}. "
                    "How many deviations above average is a mark of {x}?"
                ),
            ),
            "x": (
                (
                    "Marks average {m} with standard deviation {s}. "
                    "Which mark lies {z} deviations above the average?"
                ),
            ),
            "m": (
                (
                    "A mark of {x} lies {z} standard deviations of {s} points above the average. "
                    "What is that average?"
                ),
            ),
            "s": (
                (
                    "With an average of {m}, a mark of {x} lies {z} deviations higher. "
                    "How many points is one deviation?"
                ),
            ),
        },
    ),
)

LAWS = (
    *_MOTION,
    *_FORCES,
    *_MOMENTUM,
    *_ENERGY,
    *_MACHINES,
    *_CIRCUITS,
    *_HEAT,
    *_GASES,
    *_WAVES,
    *_OPTICS,
    *_FLUIDS,
    *_CHEMISTRY,
    *_ATOMS,
    *_STATISTICS,
    *special.SCIENCE_LAWS,
)

COMPOSITIONS = (
    Composition("newton_second", "a", "uniform_acceleration", "a", "v"),
    Composition("net_force", "F", "newton_second", "F", "a"),
    Composition("speed", "v", "momentum", "v", "p"),
    Composition("newton_second", "F", "work", "F", "W"),
    Composition("work", "W", "power", "W", "P"),
    Composition("weight", "W", "torque", "F", "M"),
    Composition("series_resistance", "R", "ohm", "R", "V"),
    Composition("temperature_rise", "d", "heat", "d", "Q"),
    Composition("moles", "n", "molar_volume", "n", "V"),
    Composition("frequency", "f", "wave_speed", "f", "v"),
    Composition("image_distance", "M", "magnification", "M", "i"),
    Composition("weight", "W", "pressure", "F", "p"),
    Composition("moles", "n", "concentration", "n", "c"),
    Composition("data_range", "r", "class_width", "r", "w"),
)

DOMAIN = Domain(
    name="science",
    description="Quantitative problems from school science: apply the right law, step by step.",
    answer_format="The solution ends with 'Answer: ' and a plain number in the problem's unit.",
    grader="numeric",
    skills=build_skills(LAWS, COMPOSITIONS, FRAMES, RESERVED_FRAMES)
    | {skill.name: skill for skill in special.SCIENCE},
    special_topics=special.SCIENCE_TOPICS,
)
