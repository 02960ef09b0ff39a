"""Finance: interest, annuities, ratios, margins, tax, bonds and the like, and small tables.

Conventions: rates are percentages per year, markup is on cost and margin on sales, interest is
simple unless a problem compounds it, and payments fall at the end of a year unless it says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction

from dataenv.tasks.procedural import arithmetic, special
from dataenv.tasks.procedural.laws import (
    Composition,
    Frame,
    Law,
    Quantity,
    build_skills,
    draw_nice,
    exact_values,
    positive,
)
from dataenv.tasks.procedural.money import future_value, present_value, round_money
from dataenv.tasks.procedural.skill import Domain, Parameters, Skill

FRAMES = (
    Frame("{Subject} shows {givens}. Find the {unknown}.", "{noun} of {value} {unit}"),
    Frame("With {givens}, what is the {unknown} of {subject}?", "{noun} {value} {unit}", ", "),
    Frame(
        "Accounts of {subject}: {givens}. Calculate the {unknown}.", "{noun} {value} {unit}", "; "
    ),
    Frame("The books of {subject} list {givens}. State the {unknown}.", "{noun} {value} {unit}"),
    Frame("How much is the {unknown} if {subject} has {givens}?", "{noun} {value} {unit}"),
    Frame("Consider {subject} with {givens}. Give its {unknown}.", "{noun} at {value} {unit}"),
)

RESERVED_FRAMES = (
    Frame(
        "Figures for {subject} read {givens}. Which {unknown} do they imply?",
        "{noun} {value} {unit}",
    ),
    Frame("Use {givens} from {subject} to get the {unknown}.", "{noun} of {value} {unit}", ", "),
)

# Sums of money, large enough for a percentage of them to be a plain number.
_PRINCIPAL = Quantity(("principal", "deposit"), "dollars", 100, 900, 10)
_REVENUE = Quantity(("revenue", "turnover"), "dollars", 40, 990)
_GROSS_PROFIT = Quantity(("gross profit",), "dollars", 20, 600)
_NET_PROFIT = Quantity(("net profit", "net earnings"), "dollars", 4, 300)
_SALES = Quantity(("sales", "total sales"), "dollars", 100, 900, 10)
_ASSETS = Quantity(("current assets", "short-term assets"), "million", 4, 240)
_LIABILITIES = Quantity(("current liabilities", "short-term debts"), "million", 2, 36)
_NET_INCOME = Quantity(("net income", "company profit"), "million", 4, 200)
_SHARES = Quantity(("shares", "share count"), "million", 2, 24)
_SHARE_PRICE = Quantity(("share price", "stock price"), "dollars", 100, 900, 10)
_DEPRECIATION = Quantity(("yearly depreciation", "annual depreciation"), "dollars", 20, 90, 10)
_COUPON = Quantity(("coupon", "yearly coupon"), "dollars", 4, 96)
_TAX_RATE = Quantity(("tax rate",), "%", 2, 40)
_PREMIUM = Quantity(("premium", "yearly premium"), "dollars", 4, 96)

LAWS = (
    # Interest
    Law(
        name="simple_interest",
        topic="interest",
        equation="I = P*r*t/100",
        quantities={
            "I": Quantity(("simple interest",), "dollars", 12, 600, 6),
            "P": _PRINCIPAL,
            "r": Quantity(("interest rate", "yearly rate"), "%", 2, 12),
            "t": Quantity(("term", "time"), "years", 2, 9),
        },
        formulas={"I": "P/100*r*t", "P": "I/r/t*100", "r": "I/(P/100)/t", "t": "I/(P/100)/r"},
        subjects=("a deposit", "a savings account", "a loan"),
        sentences={
            "I": (
                (
                    "{P} dollars earn {r} % simple interest a year for {t} years. "
                    "How much interest is that?"
                ),
            ),
            "P": (
                (
                    "Simple interest of {I} dollars came in after {t} years at {r} %. "
                    "What sum was put in?"
                ),
            ),
            "r": (
                (
                    "Over {t} years, {P} dollars brought {I} dollars of simple interest. "
                    "What was the yearly rate?"
                ),
            ),
            "t": (
                (
                    "How many years must {P} dollars stay at {r} % to bring {I} dollars of simple "
                    "interest?"
                ),
            ),
        },
    ),
    Law(
        name="deposit_amount",
        topic="interest",
        equation="A = P + I",
        quantities={
            "A": Quantity(("final amount", "final balance"), "dollars", 110, 950, 5),
            "P": Quantity(("principal", "deposit"), "dollars", 100, 800, 5),
            "I": Quantity(("interest", "interest earned"), "dollars", 5, 190),
        },
        formulas={"A": "P + I", "P": "A - I", "I": "A - P"},
        subjects=("a deposit", "a bank account", "a savings plan"),
        sentences={
            "A": (
                (
                    "A saver puts in {P} dollars and earns {I} dollars of interest. "
                    "What is there in the end?"
                ),
            ),
            "P": ("An account holds {A} dollars, {I} of them interest. What was put in?",),
            "I": ("A deposit of {P} dollars has become {A} dollars. How much interest was added?",),
        },
    ),
    Law(
        name="year_growth",
        topic="interest",
        equation="A = P + P*r/100",
        quantities={
            "A": Quantity(("future value", "next balance"), "dollars", 21, 150, 0.2),
            "P": Quantity(("present value", "balance today"), "dollars", 20, 400, 10),
            "r": Quantity(("annual rate", "yearly rate"), "%", 5, 50, 5),
        },
        formulas={"A": "P + P/100*r", "P": "A/(1 + r/100)", "r": "(A - P)/(P/100)"},
        subjects=("an account over one year", "a one-year deposit", "a one-year note"),
        sentences={
            "A": ("{P} dollars lie in a bank for a year at {r} %. What is the balance then?",),
            "P": ("What sum today becomes {A} dollars in one year at {r} %?",),
            "r": (
                "In one year {P} dollars grow to {A} dollars. Which percentage was paid on them?",
            ),
        },
    ),
    # Annuities and loans
    Law(
        name="annuity_total",
        topic="annuities",
        equation="T = p*n",
        quantities={
            "T": Quantity(("total paid", "total payments"), "dollars", 20, 900, 2),
            "p": Quantity(("payment", "instalment"), "dollars", 4, 60),
            "n": Quantity(("payment count", "number paid"), "", 2, 12),
        },
        formulas={"T": "p*n", "p": "T/n", "n": "T/p"},
        subjects=("an annuity", "a payment plan", "a pension"),
        sentences={
            "T": ("A plan asks for {n} payments of {p} dollars each. What is paid in all?",),
            "p": ("{T} dollars are paid back in {n} equal parts. How large is each part?",),
            "n": ("How many payments of {p} dollars add up to {T} dollars?",),
        },
    ),
    Law(
        name="loan_cost",
        topic="annuities",
        equation="K = p*n - L",
        quantities={
            "K": Quantity(("finance charge", "loan cost"), "dollars", 5, 120),
            "p": Quantity(("monthly payment", "instalment"), "dollars", 6, 90),
            "n": Quantity(("months", "payment count"), "", 3, 12),
            "L": Quantity(("loan amount", "sum borrowed"), "dollars", 30, 800, 5),
        },
        formulas={"K": "p*n - L", "p": "(L + K)/n", "n": "(L + K)/p", "L": "p*n - K"},
        subjects=("a car loan", "a small loan", "a phone plan"),
        sentences={
            "K": (
                (
                    "A loan of {L} dollars is repaid in {n} monthly payments of {p} dollars. "
                    "How much more than the loan is paid?"
                ),
            ),
            "p": (
                (
                    "A loan of {L} dollars plus {K} dollars of charges is repaid in {n} equal "
                    "months. What is paid each month?"
                ),
            ),
            "n": (
                (
                    "Each month {p} dollars go toward a loan of {L} dollars with {K} dollars of "
                    "charges. How many months does it take?"
                ),
            ),
            "L": (
                (
                    "Paying {p} dollars a month for {n} months covers a loan and {K} dollars of "
                    "charges. How large was the loan?"
                ),
            ),
        },
    ),
    Law(
        name="loan_balance",
        topic="annuities",
        equation="B = L + L*r/100 - p",
        quantities={
            "B": Quantity(("remaining balance", "debt left"), "dollars", 5, 120),
            "L": Quantity(("loan amount", "sum borrowed"), "dollars", 50, 600, 10),
            "r": Quantity(("loan rate", "borrowing rate"), "%", 5, 25, 5),
            "p": Quantity(("payment", "repayment"), "dollars", 10, 200),
        },
        formulas={
            "B": "L + L/100*r - p",
            "L": "(B + p)/(1 + r/100)",
            "p": "L + L/100*r - B",
            "r": "(B + p - L)/(L/100)",
        },
        subjects=("a loan after one year", "a one-year debt", "a family loan after one year"),
        sentences={
            "B": (
                (
                    "A debt of {L} dollars grows by {r} % in a year, then {p} dollars are repaid. "
                    "What is still owed?"
                ),
            ),
            "L": (
                (
                    "After a year at {r} % and a repayment of {p} dollars, {B} dollars are still "
                    "owed. What was borrowed?"
                ),
            ),
            "p": (
                (
                    "{L} dollars are borrowed at {r} %. What must be repaid after one year to leave "
                    "{B} dollars owed?"
                ),
            ),
            "r": (
                (
                    "{L} dollars were borrowed. A year later {p} dollars are repaid and {B} are "
                    "still owed. What was the interest rate?"
                ),
            ),
        },
    ),
    Law(
        name="perpetuity",
        topic="annuities",
        equation="V = 100*p/r",
        quantities={
            "V": Quantity(("present value", "value today"), "dollars", 100, 950, 10),
            "p": Quantity(("yearly payment", "annual payment"), "dollars", 4, 96),
            "r": Quantity(("discount rate", "interest rate"), "%", 2, 12),
        },
        formulas={"V": "p*10/r*10", "p": "V/100*r", "r": "p/(V/100)"},
        subjects=("a perpetuity", "an endless annuity", "a permanent fund"),
        sentences={
            "V": ("What sum today is worth {p} dollars every year forever at {r} %?",),
            "p": ("A fund of {V} dollars earns {r} %. What can it pay every year forever?",),
            "r": (
                (
                    "A fund of {V} dollars pays {p} dollars every year forever. "
                    "What rate does it earn?"
                ),
            ),
        },
    ),
    # Depreciation
    Law(
        name="straight_line",
        topic="depreciation",
        equation="d = (c - s)/n",
        quantities={
            "d": _DEPRECIATION,
            "c": Quantity(("cost", "purchase cost"), "dollars", 100, 900, 10),
            "s": Quantity(("salvage value", "scrap value"), "dollars", 10, 200, 10),
            "n": Quantity(("useful life", "service life"), "years", 2, 10),
        },
        formulas={"d": "(c - s)/n", "c": "d*n + s", "s": "c - d*n", "n": "(c - s)/10/(d/10)"},
        subjects=("a machine", "a van", "a printer"),
        sentences={
            "d": (
                (
                    "A van bought for {c} dollars is sold for scrap at {s} dollars after {n} years. "
                    "What does it lose each year?"
                ),
            ),
            "c": (
                (
                    "A machine loses {d} dollars a year for {n} years and is then worth {s} dollars "
                    "as scrap. What did it cost?"
                ),
            ),
            "s": (
                (
                    "A printer costs {c} dollars and loses {d} dollars a year over its life of {n} "
                    "years. What is it worth as scrap?"
                ),
            ),
            "n": (
                (
                    "A truck of {c} dollars loses {d} dollars a year down to a scrap value of {s} "
                    "dollars. How long is its life?"
                ),
            ),
        },
    ),
    Law(
        name="accumulated",
        topic="depreciation",
        equation="D = d*k",
        quantities={
            "D": Quantity(
                ("accumulated depreciation", "total depreciation"), "dollars", 20, 900, 2
            ),
            "d": Quantity(("yearly depreciation", "annual depreciation"), "dollars", 4, 60),
            "k": Quantity(("years used", "age"), "years", 2, 9),
        },
        formulas={"D": "d*k", "d": "D/k", "k": "D/d"},
        subjects=("a truck", "a copier", "a press"),
        sentences={
            "D": (
                (
                    "A copier is written down by {d} dollars a year for {k} years. "
                    "How much is written off by then?"
                ),
            ),
            "d": (
                (
                    "In {k} years {D} dollars of a press were written off evenly. "
                    "How much was it each year?"
                ),
            ),
            "k": (
                (
                    "A truck is written down by {d} dollars a year. "
                    "After how many years are {D} dollars written off?"
                ),
            ),
        },
    ),
    Law(
        name="book_value",
        topic="depreciation",
        equation="B = c - D",
        quantities={
            "B": Quantity(("book value", "carrying value"), "dollars", 20, 700, 5),
            "c": Quantity(("original cost", "first cost"), "dollars", 100, 950, 10),
            "D": Quantity(
                ("accumulated depreciation", "total depreciation"), "dollars", 20, 400, 5
            ),
        },
        formulas={"B": "c - D", "c": "B + D", "D": "c - B"},
        subjects=("a lorry", "an oven", "a crane"),
        sentences={
            "B": (
                (
                    "An oven cost {c} dollars and {D} dollars have been written off. "
                    "At what value is it in the books?"
                ),
            ),
            "c": (
                (
                    "A crane stands in the books at {B} dollars after {D} dollars were written off. "
                    "What did it cost?"
                ),
            ),
            "D": (
                (
                    "A lorry cost {c} dollars and stands in the books at {B} dollars. "
                    "How much was written off?"
                ),
            ),
        },
    ),
    Law(
        name="declining_balance",
        topic="depreciation",
        equation="B = c - c*r/100",
        quantities={
            "B": Quantity(("year-end value", "value left"), "dollars", 40, 800, 2),
            "c": Quantity(("starting value", "opening value"), "dollars", 100, 900, 10),
            "r": Quantity(("depreciation rate", "decline rate"), "%", 10, 50, 5),
        },
        formulas={"B": "c - c/100*r", "c": "B/(10 - r/10)*10", "r": "(c - B)/(c/100)"},
        subjects=("a car over one year", "a laptop over one year", "a boat over one year"),
        sentences={
            "B": (
                (
                    "A car worth {c} dollars loses {r} % of its value in a year. "
                    "What is it worth then?"
                ),
            ),
            "c": (
                (
                    "After losing {r} % in a year, a boat is worth {B} dollars. "
                    "What was it worth before?"
                ),
            ),
            "r": (
                (
                    "In a year a laptop falls from {c} dollars to {B} dollars. "
                    "What percentage of its value is lost?"
                ),
            ),
        },
    ),
    # Ratios
    Law(
        name="current_ratio",
        topic="ratios",
        equation="k = A/L",
        quantities={
            "k": Quantity(("current ratio",), "", 1.5, 8, 0.5),
            "A": _ASSETS,
            "L": _LIABILITIES,
        },
        formulas={"k": "A/L", "A": "k*L", "L": "A/k"},
        subjects=("a company", "a shop chain", "a factory"),
        sentences={
            "k": (
                (
                    "A firm can turn {A} million into cash soon and owes {L} million soon. "
                    "What is its current ratio?"
                ),
            ),
            "A": (
                (
                    "A firm with a current ratio of {k} owes {L} million soon. "
                    "What are its current assets?"
                ),
            ),
            "L": (
                (
                    "With a current ratio of {k} and {A} million in current assets, "
                    "what does a firm owe soon?"
                ),
            ),
        },
    ),
    Law(
        name="debt_to_equity",
        topic="ratios",
        equation="q = D/E",
        quantities={
            "q": Quantity(("debt-to-equity", "debt-equity ratio"), "", 0.5, 9, 0.5),
            "D": Quantity(("total debt", "borrowed capital"), "million", 4, 240),
            "E": Quantity(("equity", "owner equity"), "million", 2, 36),
        },
        formulas={"q": "D/E", "D": "q*E", "E": "D/q"},
        subjects=("a firm", "a builder", "an airline"),
        sentences={
            "q": (
                (
                    "Owners hold {E} million in a firm that owes {D} million. "
                    "What is its debt to equity?"
                ),
            ),
            "D": ("Debt to equity is {q} and the owners hold {E} million. How much is owed?",),
            "E": (
                "A firm owes {D} million and its debt to equity is {q}. What do the owners hold?",
            ),
        },
    ),
    Law(
        name="average_stock",
        topic="ratios",
        equation="I = (o + c)/2",
        quantities={
            "I": Quantity(("average inventory", "average stock"), "million", 2, 40),
            "o": Quantity(("opening stock", "opening inventory"), "million", 2, 40),
            "c": Quantity(("closing stock", "closing inventory"), "million", 2, 40),
        },
        formulas={"I": "(o + c)/2", "o": "I*2 - c", "c": "I*2 - o"},
        subjects=("a warehouse", "a store", "a bookshop"),
        sentences={
            "I": (
                (
                    "A store has {o} million of stock in spring and {c} million in autumn. "
                    "What is the average of the two?"
                ),
            ),
            "o": (
                (
                    "Stock averaged {I} million and ended the year at {c} million. "
                    "What was it at the start?"
                ),
            ),
            "c": (
                (
                    "Stock averaged {I} million and began the year at {o} million. "
                    "What was it at the end?"
                ),
            ),
        },
    ),
    Law(
        name="inventory_turnover",
        topic="ratios",
        equation="t = C/I",
        quantities={
            "t": Quantity(("inventory turnover", "stock turnover"), "", 2, 9, 0.5),
            "C": Quantity(("goods cost", "cost of sales"), "million", 8, 240),
            "I": Quantity(("average inventory", "average stock"), "million", 2, 36),
        },
        formulas={"t": "C/I", "C": "t*I", "I": "C/t"},
        subjects=("a wholesaler", "a store", "a grocer"),
        sentences={
            "t": (
                (
                    "Goods sold in a year cost {C} million and {I} million lay in stock on average. "
                    "How often did the stock turn?"
                ),
            ),
            "C": (
                (
                    "Average stock of {I} million turns over {t} times a year. "
                    "What did the goods sold cost?"
                ),
            ),
            "I": (
                (
                    "Goods sold cost {C} million while the stock turned {t} times. "
                    "What was the average stock?"
                ),
            ),
        },
    ),
    Law(
        name="working_capital",
        topic="ratios",
        equation="W = A - L",
        quantities={
            "W": Quantity(("working capital",), "dollars", 20, 500),
            "A": Quantity(("current assets", "short-term assets"), "dollars", 100, 950),
            "L": Quantity(("current liabilities", "short-term debts"), "dollars", 20, 450),
        },
        formulas={"W": "A - L", "A": "W + L", "L": "A - W"},
        subjects=("a bakery", "a garage", "a studio"),
        sentences={
            "W": (
                (
                    "A bakery has {A} dollars of current assets and owes {L} dollars soon. "
                    "What capital is left to work with?"
                ),
            ),
            "A": (
                (
                    "Short-term debts of {L} dollars leave {W} dollars of working capital. "
                    "What are the current assets?"
                ),
            ),
            "L": (
                (
                    "Of {A} dollars in current assets, {W} dollars are working capital. "
                    "What is owed soon?"
                ),
            ),
        },
    ),
    # Margins
    Law(
        name="gross_profit",
        topic="margins",
        equation="G = R - C",
        quantities={
            "G": _GROSS_PROFIT,
            "R": _REVENUE,
            "C": Quantity(("cost of goods", "goods cost"), "dollars", 20, 500),
        },
        formulas={"G": "R - C", "R": "G + C", "C": "R - G"},
        subjects=("a shop", "a market stall", "a toy maker"),
        sentences={
            "G": (
                (
                    "A stall takes in {R} dollars for goods that cost {C} dollars. "
                    "What does it earn on them?"
                ),
            ),
            "R": (
                (
                    "Goods that cost {C} dollars earned a gross profit of {G} dollars. "
                    "What did they sell for?"
                ),
            ),
            "C": (
                "A shop took in {R} dollars and made {G} dollars gross. What did the goods cost?",
            ),
        },
    ),
    Law(
        name="net_profit",
        topic="margins",
        equation="N = G - X",
        quantities={
            "N": _NET_PROFIT,
            "G": _GROSS_PROFIT,
            "X": Quantity(("operating expenses", "overheads"), "dollars", 10, 300),
        },
        formulas={"N": "G - X", "G": "N + X", "X": "G - N"},
        subjects=("a cafe", "a hotel", "a salon"),
        sentences={
            "N": (
                (
                    "A cafe makes {G} dollars gross and pays {X} dollars for rent and wages. "
                    "What is left as net profit?"
                ),
            ),
            "G": (
                (
                    "After {X} dollars of rent and wages a hotel keeps {N} dollars. "
                    "What did it make gross?"
                ),
            ),
            "X": (
                (
                    "A salon makes {G} dollars gross but keeps only {N} dollars. "
                    "What do rent and wages take?"
                ),
            ),
        },
    ),
    Law(
        name="net_margin",
        topic="margins",
        equation="m = 100*N/S",
        quantities={
            "m": Quantity(("net margin", "profit margin"), "%", 2, 24),
            "N": _NET_PROFIT,
            "S": _SALES,
        },
        formulas={"m": "N/(S/100)", "N": "S/100*m", "S": "N*10/m*10"},
        subjects=("a retailer", "a brewery", "a publisher"),
        sentences={
            "m": (
                (
                    "On sales of {S} dollars a brewery keeps {N} dollars. "
                    "What percentage of sales is that?"
                ),
            ),
            "N": ("A retailer keeps {m} % of its {S} dollars of sales. How much does it keep?",),
            "S": (
                (
                    "A publisher keeps {N} dollars, which is {m} % of its sales. "
                    "How large are the sales?"
                ),
            ),
        },
    ),
    # Returns
    Law(
        name="capital_gain",
        topic="returns",
        equation="g = s - b",
        quantities={
            "g": Quantity(("capital gain", "price gain"), "dollars", 10, 300),
            "s": Quantity(("sale price", "exit price"), "dollars", 100, 950, 5),
            "b": Quantity(("purchase price", "entry price"), "dollars", 50, 600, 5),
        },
        formulas={"g": "s - b", "s": "b + g", "b": "s - g"},
        subjects=("a share", "a painting", "a fund unit"),
        sentences={
            "g": (
                (
                    "An investor buys a share at {b} dollars and sells it at {s} dollars. "
                    "What is earned?"
                ),
            ),
            "s": (
                (
                    "A painting bought for {b} dollars is sold with a gain of {g} dollars. "
                    "At what price is it sold?"
                ),
            ),
            "b": (
                (
                    "Selling at {s} dollars, an owner gains {g} dollars. "
                    "What was paid in the first place?"
                ),
            ),
        },
    ),
    Law(
        name="total_gain",
        topic="returns",
        equation="T = g + d",
        quantities={
            "T": Quantity(("total gain", "overall gain"), "dollars", 40, 400),
            "g": Quantity(("price gain", "price rise"), "dollars", 4, 300),
            "d": Quantity(("dividends received", "cash dividends"), "dollars", 4, 90),
        },
        formulas={"T": "g + d", "g": "T - d", "d": "T - g"},
        subjects=("a stock", "an investment", "an index fund"),
        sentences={
            "T": (
                (
                    "A stock rose by {g} dollars and paid {d} dollars in dividends. "
                    "What did the owner gain in all?"
                ),
            ),
            "g": (
                (
                    "An owner gained {T} dollars in all, {d} of them from dividends. "
                    "How much did the price rise?"
                ),
            ),
            "d": (
                (
                    "An owner gained {T} dollars in all, {g} of them from a higher price. "
                    "How much came as dividends?"
                ),
            ),
        },
    ),
    Law(
        name="return_percent",
        topic="returns",
        equation="r = 100*T/P",
        quantities={
            "r": Quantity(("percent return", "return rate"), "%", 2, 24),
            "T": Quantity(("total gain", "overall gain"), "dollars", 4, 200),
            "P": Quantity(("investment", "sum invested"), "dollars", 100, 900, 10),
        },
        formulas={"r": "T/(P/100)", "T": "P/100*r", "P": "T*10/r*10"},
        subjects=("a portfolio", "a fund", "a project"),
        sentences={
            "r": (
                (
                    "Investing {P} dollars brought a gain of {T} dollars. "
                    "What percentage did it return?"
                ),
            ),
            "T": ("{P} dollars invested return {r} %. How many dollars are gained?",),
            "P": ("A return of {r} % brought {T} dollars. How much was invested?",),
        },
    ),
    Law(
        name="earnings_per_share",
        topic="returns",
        equation="e = N/n",
        quantities={
            "e": Quantity(("share earnings", "unit earnings"), "dollars", 2, 20, 0.5),
            "N": _NET_INCOME,
            "n": _SHARES,
        },
        formulas={"e": "N/n", "N": "e*n", "n": "N/e"},
        subjects=("a company", "a carmaker", "a software firm"),
        sentences={
            "e": (
                (
                    "A company earns {N} million dollars and has {n} million shares. "
                    "What does one share earn?"
                ),
            ),
            "N": (
                (
                    "Each of {n} million shares earns {e} dollars. "
                    "How many million does the company earn?"
                ),
            ),
            "n": (
                (
                    "A company earns {N} million dollars, or {e} dollars a share. "
                    "How many million shares are there?"
                ),
            ),
        },
    ),
    Law(
        name="price_earnings",
        topic="returns",
        equation="k = p/e",
        quantities={
            "k": Quantity(("earnings multiple", "price multiple"), "", 3, 12, 0.5),
            "p": Quantity(("share price", "stock price"), "dollars", 12, 240),
            "e": Quantity(("share earnings", "unit earnings"), "dollars", 2, 20, 0.5),
        },
        formulas={"k": "p/e", "p": "k*e", "e": "p/k"},
        subjects=("a stock", "a bank share", "a tech share"),
        sentences={
            "k": (
                (
                    "A share costs {p} dollars and earns {e} dollars a year. "
                    "How many years of earnings does it cost?"
                ),
            ),
            "p": (
                (
                    "A share earns {e} dollars and trades at {k} times its earnings. "
                    "What does it cost?"
                ),
            ),
            "e": (
                "A share costs {p} dollars, which is {k} times its earnings. What does it earn?",
            ),
        },
    ),
    # Dividends
    Law(
        name="dividend_yield",
        topic="dividends",
        equation="y = 100*D/p",
        quantities={
            "y": Quantity(("dividend yield",), "%", 2, 12),
            "D": Quantity(("dividend", "yearly dividend"), "dollars", 4, 96),
            "p": _SHARE_PRICE,
        },
        formulas={"y": "D/(p/100)", "D": "p/100*y", "p": "D*10/y*10"},
        subjects=("a stock", "a power share", "a rail share"),
        sentences={
            "y": (
                (
                    "A share at {p} dollars pays a dividend of {D} dollars. "
                    "What percentage of its price is paid?"
                ),
            ),
            "D": ("A share at {p} dollars yields {y} %. What dividend does it pay?",),
            "p": ("A share pays {D} dollars, a yield of {y} %. At what price does it trade?",),
        },
    ),
    Law(
        name="payout",
        topic="dividends",
        equation="q = 100*D/E",
        quantities={
            "q": Quantity(("payout ratio", "payout rate"), "%", 5, 90, 5),
            "D": Quantity(("total dividends", "dividends paid"), "million", 5, 250),
            "E": Quantity(("net income", "company profit"), "million", 50, 400, 10),
        },
        formulas={"q": "D/(E/100)", "D": "E/100*q", "E": "D/(q/100)"},
        subjects=("a company", "a bank", "a utility"),
        sentences={
            "q": (
                (
                    "Of {E} million in profit a bank hands {D} million to its owners. "
                    "What percentage is that?"
                ),
            ),
            "D": (
                (
                    "A utility pays out {q} % of its {E} million in profit. "
                    "How many million go to the owners?"
                ),
            ),
            "E": (
                (
                    "A company hands {D} million to its owners, {q} % of its profit. "
                    "How many million is the profit?"
                ),
            ),
        },
    ),
    Law(
        name="dividend_per_share",
        topic="dividends",
        equation="d = D/n",
        quantities={
            "d": Quantity(("share dividend", "unit dividend"), "dollars", 2, 12, 0.5),
            "D": Quantity(("total dividends", "dividends paid"), "million", 4, 240),
            "n": _SHARES,
        },
        formulas={"d": "D/n", "D": "d*n", "n": "D/d"},
        subjects=("a firm", "an insurer", "a mining group"),
        sentences={
            "d": (
                (
                    "A firm splits {D} million dollars evenly among {n} million shares. "
                    "What does each share get?"
                ),
            ),
            "D": (
                (
                    "A firm pays {d} dollars on each of {n} million shares. "
                    "How many million does it pay?"
                ),
            ),
            "n": (
                (
                    "Paying {d} dollars on every share takes {D} million dollars. "
                    "How many million shares are there?"
                ),
            ),
        },
    ),
    Law(
        name="dividend_income",
        topic="dividends",
        equation="i = d*h",
        quantities={
            "i": Quantity(("dividend income", "cash received"), "dollars", 8, 900),
            "d": Quantity(("share dividend", "unit dividend"), "dollars", 2, 12, 0.5),
            "h": Quantity(("shares held", "shares owned"), "", 3, 60),
        },
        formulas={"i": "d*h", "d": "i/h", "h": "i/d"},
        subjects=("a shareholder", "an investor", "a retiree"),
        sentences={
            "i": ("Someone owns {h} shares that pay {d} dollars each. What cash comes in?",),
            "d": ("An owner of {h} shares receives {i} dollars. What does each share pay?",),
            "h": (
                "Shares paying {d} dollars each bring an owner {i} dollars. How many are owned?",
            ),
        },
    ),
    # Tax
    Law(
        name="taxable_income",
        topic="tax",
        equation="Y = I - A",
        quantities={
            "Y": Quantity(("taxable income", "taxed income"), "dollars", 50, 800, 10),
            "I": Quantity(("gross income", "total income"), "dollars", 200, 990, 10),
            "A": Quantity(("allowance", "deduction"), "dollars", 20, 190, 5),
        },
        formulas={"Y": "I - A", "I": "Y + A", "A": "I - Y"},
        subjects=("a worker", "a teacher", "a painter"),
        sentences={
            "Y": (
                (
                    "A worker earns {I} dollars, of which {A} dollars are free of tax. "
                    "On how much is tax due?"
                ),
            ),
            "I": ("Tax is due on {Y} dollars after {A} dollars were taken off. What was earned?",),
            "A": (
                "A nurse earns {I} dollars but pays tax on only {Y} dollars. How much is tax free?",
            ),
        },
    ),
    Law(
        name="income_tax",
        topic="tax",
        equation="T = Y*r/100",
        quantities={
            "T": Quantity(("income tax", "tax due"), "dollars", 4, 240),
            "Y": Quantity(("taxable income", "taxed income"), "dollars", 100, 900, 10),
            "r": _TAX_RATE,
        },
        formulas={"T": "Y/100*r", "Y": "T*10/r*10", "r": "T/(Y/100)"},
        subjects=("a taxpayer", "a worker", "a trader"),
        sentences={
            "T": ("Income of {Y} dollars is taxed at {r} %. How much goes to the state?",),
            "Y": ("At {r} % a trader owes {T} dollars of tax. What income was taxed?",),
            "r": (
                (
                    "On {Y} dollars of income a clerk pays {T} dollars of tax. "
                    "What percentage is taken?"
                ),
            ),
        },
    ),
    Law(
        name="after_tax",
        topic="tax",
        equation="N = W - T",
        quantities={
            "N": Quantity(("net pay", "take-home pay"), "dollars", 100, 750),
            "W": Quantity(("gross pay", "salary"), "dollars", 200, 950, 5),
            "T": Quantity(("income tax", "tax due"), "dollars", 20, 240),
        },
        formulas={"N": "W - T", "W": "N + T", "T": "W - N"},
        subjects=("an employee", "a driver", "a nurse"),
        sentences={
            "N": ("From pay of {W} dollars, {T} dollars are kept back as tax. What is paid out?",),
            "W": (
                "A driver takes home {N} dollars after {T} dollars of tax. What was the full pay?",
            ),
            "T": ("Of {W} dollars in pay, only {N} dollars reach an employee. What is the tax?",),
        },
    ),
    Law(
        name="sales_tax",
        topic="tax",
        equation="S = p + p*r/100",
        quantities={
            "S": Quantity(("price paid", "final price"), "dollars", 21, 140, 0.1),
            "p": Quantity(("net price", "shelf price"), "dollars", 10, 200, 5),
            "r": Quantity(("sales tax", "sales-tax rate"), "%", 2, 20),
        },
        formulas={"S": "p + p/100*r", "p": "S/(1 + r/100)", "r": "(S - p)/(p/100)"},
        subjects=("a lamp", "a bicycle", "a camera"),
        sentences={
            "S": (
                (
                    "A shelf price of {p} dollars is charged with {r} % sales tax. "
                    "What does the buyer pay?"
                ),
            ),
            "p": (
                "A buyer pays {S} dollars including {r} % sales tax. What is the price before tax?",
            ),
            "r": (
                (
                    "A camera at {p} dollars before tax costs the buyer {S} dollars. "
                    "What is the tax percentage?"
                ),
            ),
        },
    ),
    # Exchange
    Law(
        name="exchange",
        topic="exchange",
        equation="E = D*x",
        quantities={
            "E": Quantity(("crowns received", "crown amount"), "crowns", 10, 600),
            "D": Quantity(("dollars changed", "dollar amount"), "dollars", 4, 60),
            "x": Quantity(("exchange rate", "crown rate"), "crowns per dollar", 1.5, 12, 0.5),
        },
        formulas={"E": "D*x", "D": "E/x", "x": "E/D"},
        subjects=("a traveller", "a tourist", "an exporter"),
        sentences={
            "E": ("One dollar buys {x} crowns. How many crowns do {D} dollars buy?",),
            "D": ("One dollar buys {x} crowns. How many dollars are needed for {E} crowns?",),
            "x": ("A bank gives {E} crowns for {D} dollars. How many crowns does one dollar buy?",),
        },
    ),
    Law(
        name="exchange_fee",
        topic="exchange",
        equation="D = c - f",
        quantities={
            "D": Quantity(("dollars changed", "dollar amount"), "dollars", 20, 400),
            "c": Quantity(("cash", "cash paid"), "dollars", 30, 500),
            "f": Quantity(("exchange fee", "bank fee"), "dollars", 2, 60),
        },
        formulas={"D": "c - f", "c": "D + f", "f": "c - D"},
        subjects=("a currency booth", "a money changer", "a bank desk"),
        sentences={
            "D": (
                (
                    "A tourist hands over {c} dollars and the booth keeps {f} dollars as a fee. "
                    "How much is changed?"
                ),
            ),
            "c": (
                (
                    "To have {D} dollars changed and pay a fee of {f} dollars, "
                    "how much must a tourist bring?"
                ),
            ),
            "f": (
                (
                    "A tourist hands over {c} dollars but only {D} dollars are changed. "
                    "What is the fee?"
                ),
            ),
        },
    ),
    # Pricing
    Law(
        name="markup",
        topic="pricing",
        equation="S = C + C*m/100",
        quantities={
            "S": Quantity(("selling price", "list price"), "dollars", 21, 170, 0.2),
            "C": Quantity(("unit cost", "buying cost"), "dollars", 20, 300, 5),
            "m": Quantity(("markup", "markup on cost"), "%", 5, 80, 5),
        },
        formulas={"S": "C + C/100*m", "C": "S/(1 + m/100)", "m": "(S - C)/(C/100)"},
        subjects=("a jacket", "a chair", "a kettle"),
        sentences={
            "S": (
                (
                    "A dealer buys a chair for {C} dollars and adds {m} % of the cost. "
                    "What does it sell for?"
                ),
            ),
            "C": (
                (
                    "A kettle sells for {S} dollars after {m} % of its cost was added. "
                    "What did the dealer pay?"
                ),
            ),
            "m": (
                (
                    "A jacket bought at {C} dollars is sold at {S} dollars. "
                    "What percentage of the cost was added?"
                ),
            ),
        },
    ),
    Law(
        name="discount",
        topic="pricing",
        equation="S = p - p*d/100",
        quantities={
            "S": Quantity(("sale price", "reduced price"), "dollars", 20, 600, 2),
            "p": Quantity(("regular price", "old price"), "dollars", 50, 900, 10),
            "d": Quantity(("discount", "price cut"), "%", 5, 60, 5),
        },
        formulas={"S": "p - p/100*d", "p": "S/(10 - d/10)*10", "d": "(p - S)/(p/100)"},
        subjects=("a coat", "a sofa", "a phone"),
        sentences={
            "S": ("A sofa at {p} dollars is reduced by {d} %. What does it cost now?",),
            "p": ("After {d} % off, a coat costs {S} dollars. What did it cost before?",),
            "d": (
                (
                    "A phone is reduced from {p} dollars to {S} dollars. "
                    "By what percentage is it cheaper?"
                ),
            ),
        },
    ),
    Law(
        name="revenue",
        topic="pricing",
        equation="R = p*q",
        quantities={
            "R": Quantity(("revenue", "turnover"), "dollars", 20, 900, 2),
            "p": Quantity(("unit price", "item price"), "dollars", 2, 12, 0.5),
            "q": Quantity(("units sold", "items sold"), "", 4, 96),
        },
        formulas={"R": "p*q", "p": "R/q", "q": "R/p"},
        subjects=("a kiosk", "a bakery", "a web shop"),
        sentences={
            "R": ("A kiosk sells {q} items for {p} dollars each. How much does it take in?",),
            "p": ("Selling {q} equal items brings {R} dollars. What does one item cost?",),
            "q": ("Items at {p} dollars each bring in {R} dollars. How many are sold?",),
        },
    ),
    Law(
        name="commission",
        topic="pricing",
        equation="c = s*r/100",
        quantities={
            "c": Quantity(("commission", "sales commission"), "dollars", 4, 96),
            "s": Quantity(("sales", "sales made"), "dollars", 100, 900, 10),
            "r": Quantity(("commission rate",), "%", 2, 15),
        },
        formulas={"c": "s/100*r", "s": "c*10/r*10", "r": "c/(s/100)"},
        subjects=("an agent", "a broker", "a seller"),
        sentences={
            "c": ("An agent keeps {r} % of sales worth {s} dollars. What does the agent earn?",),
            "s": (
                "An agent who keeps {r} % of what is sold earns {c} dollars. What were the sales?",
            ),
            "r": (
                (
                    "On sales of {s} dollars an agent earns {c} dollars. "
                    "What percentage does the agent keep?"
                ),
            ),
        },
    ),
    Law(
        name="break_even",
        topic="pricing",
        equation="U = F/(p - v)",
        quantities={
            "U": Quantity(("break-even units", "break-even volume"), "units", 4, 48),
            "F": Quantity(("fixed costs", "fixed expenses"), "dollars", 20, 600, 4),
            "p": Quantity(("unit price", "selling price"), "dollars", 4, 40),
            "v": Quantity(("unit cost", "variable cost"), "dollars", 2, 30),
        },
        formulas={"U": "F/(p - v)", "F": "(p - v)*U", "p": "F/U + v", "v": "p - F/U"},
        subjects=("a new product", "a food truck", "a workshop"),
        sentences={
            "U": (
                (
                    "Each item costs {v} dollars and sells for {p} dollars. "
                    "How many sales cover fixed costs of {F} dollars?"
                ),
            ),
            "F": (
                (
                    "Selling {U} items at {p} dollars that cost {v} dollars each just covers the "
                    "fixed costs. What are those?"
                ),
            ),
            "p": (
                (
                    "Items cost {v} dollars each. At what price do {U} sales just cover fixed costs "
                    "of {F} dollars?"
                ),
            ),
            "v": (
                (
                    "Selling {U} items at {p} dollars just covers fixed costs of {F} dollars. "
                    "What does each item cost to make?"
                ),
            ),
        },
    ),
    # Bonds
    Law(
        name="bond_coupon",
        topic="bonds",
        equation="c = F*r/100",
        quantities={
            "c": _COUPON,
            "F": Quantity(("face value", "par value"), "dollars", 100, 900, 10),
            "r": Quantity(("coupon rate", "bond rate"), "%", 2, 12),
        },
        formulas={"c": "F/100*r", "F": "c*10/r*10", "r": "c/(F/100)"},
        subjects=("a bond", "a state bond", "a company bond"),
        sentences={
            "c": (
                (
                    "A bond of {F} dollars pays {r} % of that each year. "
                    "What does its owner get yearly?"
                ),
            ),
            "F": ("A bond pays {c} dollars a year, {r} % of its face. What is its face value?",),
            "r": (
                (
                    "A bond with a face of {F} dollars pays {c} dollars a year. "
                    "What rate is printed on it?"
                ),
            ),
        },
    ),
    Law(
        name="current_yield",
        topic="bonds",
        equation="y = 100*c/p",
        quantities={
            "y": Quantity(("current yield",), "%", 2, 12),
            "c": _COUPON,
            "p": Quantity(("bond price", "market price"), "dollars", 100, 900, 10),
        },
        formulas={"y": "c/(p/100)", "c": "p/100*y", "p": "c*10/y*10"},
        subjects=("a bond", "a city bond", "a bank bond"),
        sentences={
            "y": (
                (
                    "A bond bought on the market for {p} dollars pays {c} dollars a year. "
                    "What percentage of its price is that?"
                ),
            ),
            "c": (
                "A bond bought for {p} dollars currently yields {y} %. What does it pay a year?",
            ),
            "p": (
                (
                    "A bond pays {c} dollars a year and currently yields {y} %. "
                    "What does it cost on the market?"
                ),
            ),
        },
    ),
    Law(
        name="coupon_total",
        topic="bonds",
        equation="T = c*n",
        quantities={
            "T": Quantity(("total coupons", "coupon total"), "dollars", 12, 900, 2),
            "c": _COUPON,
            "n": Quantity(("maturity", "bond life"), "years", 2, 12),
        },
        formulas={"T": "c*n", "c": "T/n", "n": "T/c"},
        subjects=("a bond", "a rail bond", "a long bond"),
        sentences={
            "T": ("A bond pays {c} dollars every year for {n} years. What do its coupons add to?",),
            "c": (
                "Over {n} years the coupons of a bond add to {T} dollars. What is paid each year?",
            ),
            "n": (
                (
                    "A bond pays {c} dollars a year and {T} dollars in all. "
                    "For how many years does it pay?"
                ),
            ),
        },
    ),
    # Budgeting
    Law(
        name="monthly_savings",
        topic="budgeting",
        equation="s = i - e",
        quantities={
            "s": Quantity(("monthly savings", "monthly surplus"), "dollars", 10, 300),
            "i": Quantity(("monthly income", "monthly pay"), "dollars", 100, 950, 5),
            "e": Quantity(("monthly spending", "monthly expenses"), "dollars", 50, 650),
        },
        formulas={"s": "i - e", "i": "s + e", "e": "i - s"},
        subjects=("a student", "a family", "a couple"),
        sentences={
            "s": ("A family gets {i} dollars a month and spends {e} dollars. What is put aside?",),
            "i": (
                "A family spends {e} dollars a month and puts {s} dollars aside. What comes in?",
            ),
            "e": ("A student gets {i} dollars a month and puts {s} dollars aside. What is spent?",),
        },
    ),
    Law(
        name="savings_goal",
        topic="budgeting",
        equation="g = s*n",
        quantities={
            "g": Quantity(("savings goal", "total savings"), "dollars", 20, 900, 2),
            "s": Quantity(("monthly savings", "monthly surplus"), "dollars", 4, 60),
            "n": Quantity(("saving months", "months"), "months", 2, 12),
        },
        formulas={"g": "s*n", "s": "g/n", "n": "g/s"},
        subjects=("a saver", "a club", "a holiday fund"),
        sentences={
            "g": ("Putting aside {s} dollars a month for {n} months gives what sum?",),
            "s": (
                "A holiday of {g} dollars is due in {n} months. What must be put aside each month?",
            ),
            "n": (
                "With {s} dollars put aside each month, when are {g} dollars reached, in months?",
            ),
        },
    ),
    Law(
        name="budget_variance",
        topic="budgeting",
        equation="v = b - a",
        quantities={
            "v": Quantity(("budget variance", "amount unspent"), "dollars", 5, 200),
            "b": Quantity(("planned cost", "budget"), "dollars", 100, 950, 5),
            "a": Quantity(("actual cost", "real cost"), "dollars", 50, 750),
        },
        formulas={"v": "b - a", "b": "v + a", "a": "b - v"},
        subjects=("a project", "a school trip", "a wedding"),
        sentences={
            "v": (
                (
                    "A trip was planned at {b} dollars and cost {a} dollars. "
                    "By how much is it under budget?"
                ),
            ),
            "b": (
                "A wedding cost {a} dollars, which is {v} dollars under budget. What was planned?",
            ),
            "a": (
                "A project planned at {b} dollars ends {v} dollars under budget. What did it cost?",
            ),
        },
    ),
    Law(
        name="net_worth",
        topic="budgeting",
        equation="N = a - d",
        quantities={
            "N": Quantity(("net worth", "own wealth"), "dollars", 50, 600),
            "a": Quantity(("total assets", "property owned"), "dollars", 100, 950),
            "d": Quantity(("total debts", "money owed"), "dollars", 20, 390),
        },
        formulas={"N": "a - d", "a": "N + d", "d": "a - N"},
        subjects=("a household", "a farmer", "a young couple"),
        sentences={
            "N": (
                (
                    "A farmer owns things worth {a} dollars and owes {d} dollars. "
                    "What is the farmer worth?"
                ),
            ),
            "a": (
                "A household is worth {N} dollars after debts of {d} dollars. What does it own?",
            ),
            "d": ("A couple owns {a} dollars but is worth only {N} dollars. What does it owe?",),
        },
    ),
    # Insurance
    Law(
        name="premium",
        topic="insurance",
        equation="P = V*r/100",
        quantities={
            "P": _PREMIUM,
            "V": Quantity(("insured value", "sum insured"), "dollars", 100, 900, 10),
            "r": Quantity(("premium rate", "insurance rate"), "%", 2, 12),
        },
        formulas={"P": "V/100*r", "V": "P*10/r*10", "r": "P/(V/100)"},
        subjects=("a house policy", "a ship policy", "a bike policy"),
        sentences={
            "P": (
                (
                    "A bike worth {V} dollars is insured for {r} % of its value a year. "
                    "What does the cover cost?"
                ),
            ),
            "V": ("Cover at {r} % of the value costs {P} dollars a year. For what value is it?",),
            "r": (
                (
                    "Cover for {V} dollars costs {P} dollars a year. "
                    "What percentage of the value is charged?"
                ),
            ),
        },
    ),
    Law(
        name="premium_total",
        topic="insurance",
        equation="T = P*n",
        quantities={
            "T": Quantity(("total premiums", "premium total"), "dollars", 12, 900, 2),
            "P": _PREMIUM,
            "n": Quantity(("policy term", "policy years"), "years", 2, 12),
        },
        formulas={"T": "P*n", "P": "T/n", "n": "T/P"},
        subjects=("a life policy", "a car policy", "a travel policy"),
        sentences={
            "T": (
                "A policy costs {P} dollars a year for {n} years. What does the holder pay in all?",
            ),
            "P": ("A holder pays {T} dollars over {n} years for a policy. What is paid yearly?",),
            "n": ("A policy costs {P} dollars a year. After how many years are {T} dollars paid?",),
        },
    ),
    Law(
        name="claim",
        topic="insurance",
        equation="c = l - d",
        quantities={
            "c": Quantity(("claim payment", "insurer payment"), "dollars", 20, 700),
            "l": Quantity(("loss", "damage"), "dollars", 100, 900, 5),
            "d": Quantity(("deductible", "own excess"), "dollars", 10, 250, 5),
        },
        formulas={"c": "l - d", "l": "c + d", "d": "l - c"},
        subjects=("a fire claim", "a car claim", "a storm claim"),
        sentences={
            "c": (
                (
                    "A storm does {l} dollars of damage and the owner bears the first {d} dollars. "
                    "What does the insurer pay?"
                ),
            ),
            "l": (
                (
                    "The owner bears {d} dollars and the insurer pays the other {c} dollars. "
                    "How large is the damage?"
                ),
            ),
            "d": (
                "Of {l} dollars of damage the insurer pays {c} dollars. What does the owner bear?",
            ),
        },
    ),
    Law(
        name="coinsurance",
        topic="insurance",
        equation="s = (b - d)*r/100",
        quantities={
            "s": Quantity(("patient share", "own share"), "dollars", 4, 96),
            "b": Quantity(("hospital bill", "bill"), "dollars", 150, 950, 10),
            "d": Quantity(("deductible", "excess"), "dollars", 20, 150, 10),
            "r": Quantity(("coinsurance rate", "share rate"), "%", 2, 30),
        },
        formulas={
            "s": "(b - d)/100*r",
            "b": "s*10/r*10 + d",
            "d": "b - s*10/r*10",
            "r": "s/((b - d)/100)",
        },
        subjects=("a health plan", "a dental plan", "an eye plan"),
        sentences={
            "s": (
                (
                    "After a deductible of {d} dollars, a patient bears {r} % of the rest of a {b} "
                    "dollar bill. How much is that?"
                ),
            ),
            "b": (
                (
                    "Beyond a deductible of {d} dollars a patient bears {r} %, which is {s} dollars. "
                    "How large is the bill?"
                ),
            ),
            "d": (
                (
                    "A bill is {b} dollars. Beyond the deductible a patient bears {r} %, which is "
                    "{s} dollars. What is the deductible?"
                ),
            ),
            "r": (
                (
                    "A bill is {b} dollars. Beyond a deductible of {d} dollars a patient bears {s} "
                    "dollars. What percentage is that?"
                ),
            ),
        },
    ),
    Law(
        name="loss_ratio",
        topic="insurance",
        equation="q = 100*c/P",
        quantities={
            "q": Quantity(("loss ratio",), "%", 5, 90, 5),
            "c": Quantity(("claims paid", "total claims"), "million", 5, 250),
            "P": Quantity(("premiums earned", "premium income"), "million", 50, 400, 10),
        },
        formulas={"q": "c/(P/100)", "c": "P/100*q", "P": "c/(q/100)"},
        subjects=("an insurer", "a mutual insurer", "a ship insurer"),
        sentences={
            "q": (
                (
                    "An insurer takes {P} million in premiums and pays {c} million for claims. "
                    "What percentage goes to claims?"
                ),
            ),
            "c": (
                (
                    "Of {P} million in premiums an insurer spends {q} % on claims. "
                    "How many million is that?"
                ),
            ),
            "P": (
                (
                    "Claims of {c} million use up {q} % of the premiums. "
                    "How many million are the premiums?"
                ),
            ),
        },
    ),
    *special.FINANCE_LAWS,
)

COMPOSITIONS = (
    Composition("simple_interest", "I", "income_tax", "Y", "T"),
    Composition("straight_line", "d", "accumulated", "d", "D"),
    Composition("accumulated", "D", "book_value", "D", "B"),
    Composition("average_stock", "I", "inventory_turnover", "I", "t"),
    Composition("average_stock", "I", "inventory_turnover", "I", "C"),
    Composition("gross_profit", "G", "net_profit", "G", "N"),
    Composition("net_profit", "N", "net_margin", "N", "m"),
    Composition("total_gain", "T", "return_percent", "T", "r"),
    Composition("earnings_per_share", "e", "price_earnings", "e", "k"),
    Composition("payout", "D", "dividend_per_share", "D", "d"),
    Composition("taxable_income", "Y", "income_tax", "Y", "T"),
    Composition("exchange_fee", "D", "exchange", "D", "E"),
    Composition("revenue", "R", "commission", "s", "c"),
    Composition("bond_coupon", "c", "coupon_total", "c", "T"),
    Composition("monthly_savings", "s", "savings_goal", "s", "g"),
    Composition("premium", "P", "premium_total", "P", "T"),
)


@dataclass(frozen=True)
class Plan:
    """A skill that is solved in several named steps, over given numbers.

    Args:
        name: Unique in the domain.
        topic: The visible heading.
        quantities: The given numbers, by the name that the worked solution uses for each.
        steps: Names and formulas; a formula may use given numbers and earlier names.
        oracle: Answers from the given numbers, by another way than `steps`.
        settings: Open descriptions of the given numbers, with a placeholder for each.
        questions: Open questions; every setting goes with every question.
        reserved_settings, reserved_questions: The same for test items.
        picks: Numbers that the solution first selects from the given ones, e.g. the largest.
    """

    name: str
    topic: str
    quantities: Mapping[str, Quantity]
    steps: tuple[tuple[str, str], ...]
    oracle: Callable[[Mapping[str, Fraction]], Fraction | float]
    settings: tuple[str, ...]
    questions: tuple[str, ...]
    reserved_settings: tuple[str, ...]
    reserved_questions: tuple[str, ...]
    picks: Mapping[str, Callable[[Iterable[Fraction]], Fraction]] = field(default_factory=dict)

    def write(self, values: Parameters, misread: int | None = None) -> tuple[str, Fraction]:
        """The worked solution and its value; with `misread`, one formula is wrong."""
        given = exact_values(values)
        known = given | {name: pick(given.values()) for name, pick in self.picks.items()}
        texts = [f"{name} = {arithmetic.render_number(known[name])}" for name in self.picks]
        value = Fraction(0)
        for place, (name, formula) in enumerate(self.steps):
            tree = arithmetic.parse(formula)
            wrong = arithmetic.misreadings(tree)
            if misread is not None and wrong and place == misread % len(self.steps):
                tree = wrong[misread % len(wrong)]
            numeric = arithmetic.substitute(tree, known)
            reduced = arithmetic.steps(numeric, check=misread is None)
            names = {symbol: symbol.replace("_", " ") for symbol in known}
            parts = [name.replace("_", " "), arithmetic.render(tree, names)]
            texts.append(" = ".join([*parts, *reduced]))
            known[name] = value = arithmetic.evaluate(numeric)
        return ", ".join(texts), value

    def skill(self) -> Skill:
        """The skill that this plan describes."""
        return Skill(
            name=self.name,
            topic=self.topic,
            open_templates=_pairs(self.settings, self.questions),
            reserved_templates=_pairs(self.reserved_settings, self.reserved_questions),
            draw=draw_nice(self.quantities, self.write),
            work=lambda values: self.write(values)[0],
            oracle=lambda values: round_money(self.oracle(exact_values(values))),
            keywords=(self.name.replace("_", " "), self.topic),
            mistaken=lambda values, which: positive(*self.write(values, which)),
        )


def _pairs(settings: Iterable[str], questions: Iterable[str]) -> tuple[str, ...]:
    questions = tuple(questions)
    return tuple(f"{setting} {question}" for setting in settings for question in questions)


_ZERO = Fraction(0)

# Laws whose answer numpy_financial can give.
FINANCIAL_ORACLES: Mapping[str, Callable[[Mapping[str, Fraction]], float]] = {
    "year_growth:A": lambda v: future_value(v["r"], 1, _ZERO, v["P"]),
    "year_growth:P": lambda v: present_value(v["r"], 1, _ZERO, v["A"]),
    "loan_balance:B": lambda v: future_value(v["r"], 1, -v["p"], v["L"]),
    "loan_balance:L": lambda v: present_value(v["r"], 1, v["p"], v["B"]),
    "declining_balance:B": lambda v: future_value(-v["r"], 1, _ZERO, v["c"]),
}

_SUM = Quantity(("sum",), "dollars", 50, 700, 10)
_PAYMENT = Quantity(("payment",), "dollars", 20, 300, 5)
_RATE = Quantity(("rate",), "%", 5, 50, 5)

COMPOUND = (
    Plan(
        name="compound_amount",
        topic="interest",
        quantities={"principal": _SUM, "rate": _RATE},
        steps=(
            ("year_one", "principal + principal/100*rate"),
            ("amount", "year_one + year_one/100*rate"),
        ),
        oracle=lambda v: future_value(v["rate"], 2, _ZERO, v["principal"]),
        settings=(
            "{principal} dollars lie at {rate} % compound interest for two years.",
            "At {rate} % a year, compounded yearly, {principal} dollars are saved for two years.",
            "A deposit of {principal} dollars earns {rate} % compound interest over two years.",
        ),
        questions=("What is the final amount?", "To what sum does it grow?"),
        reserved_settings=(
            "Two years pass for {principal} dollars under yearly compounding at {rate} %.",
        ),
        reserved_questions=("Which balance results?", "How much is there at the end?"),
    ),
    Plan(
        name="compound_interest",
        topic="interest",
        quantities={"principal": _SUM, "rate": _RATE},
        steps=(
            ("year_one", "principal + principal/100*rate"),
            ("amount", "year_one + year_one/100*rate"),
            ("interest", "amount - principal"),
        ),
        oracle=lambda v: future_value(v["rate"], 2, _ZERO, v["principal"]) - float(v["principal"]),
        settings=(
            "{principal} dollars lie at {rate} % compound interest for two years.",
            "At {rate} % a year, compounded yearly, {principal} dollars are saved for two years.",
            "A deposit of {principal} dollars earns {rate} % compound interest over two years.",
        ),
        questions=("How much interest is earned in total?", "What is the compound interest alone?"),
        reserved_settings=(
            "Two years pass for {principal} dollars under yearly compounding at {rate} %.",
        ),
        reserved_questions=("What interest has been added?", "How much was gained?"),
    ),
    Plan(
        name="annuity_two",
        topic="annuities",
        quantities={"payment": _PAYMENT, "rate": _RATE},
        steps=(
            ("first_payment", "payment + payment/100*rate"),
            ("future_value", "first_payment + payment"),
        ),
        oracle=lambda v: future_value(v["rate"], 2, v["payment"], _ZERO),
        settings=(
            "{payment} dollars are saved at the end of each of two years at {rate} %.",
            "An ordinary annuity at {rate} % has two yearly payments of {payment} dollars.",
            "Two year-end payments of {payment} dollars go into a fund at {rate} %.",
        ),
        questions=("What is its future value?", "What stands there after the second payment?"),
        reserved_settings=("A fund at {rate} % gets {payment} dollars at the end of both years.",),
        reserved_questions=("Which sum does it reach?", "Give the future value."),
    ),
    Plan(
        name="annuity_three",
        topic="annuities",
        quantities={"payment": _PAYMENT, "rate": _RATE},
        steps=(
            ("year_two", "payment + payment/100*rate + payment"),
            ("year_three", "year_two + year_two/100*rate + payment"),
        ),
        oracle=lambda v: future_value(v["rate"], 3, v["payment"], _ZERO),
        settings=(
            "{payment} dollars are saved at the end of each of three years at {rate} %.",
            "An ordinary annuity at {rate} % has three yearly payments of {payment} dollars.",
            "Three year-end payments of {payment} dollars go into a fund at {rate} %.",
        ),
        questions=("What is its future value?", "What stands there after the third payment?"),
        reserved_settings=(
            "A fund at {rate} % gets {payment} dollars at the end of all three years.",
        ),
        reserved_questions=("Which sum does it reach?", "Give the future value."),
    ),
    Plan(
        name="annuity_due",
        topic="annuities",
        quantities={"payment": _PAYMENT, "rate": _RATE},
        steps=(
            ("year_one", "payment + payment/100*rate"),
            ("paid_in", "year_one + payment"),
            ("future_value", "paid_in + paid_in/100*rate"),
        ),
        oracle=lambda v: future_value(v["rate"], 2, v["payment"], _ZERO, "begin"),
        settings=(
            "{payment} dollars are saved at the start of each of two years at {rate} %.",
            "An annuity due at {rate} % has two yearly payments of {payment} dollars.",
            (
                "Two payments of {payment} dollars, each at the start of a year, go into a fund "
                "at {rate} %."
            ),
        ),
        questions=(
            "What is its future value after two years?",
            "What stands there when the second year ends?",
        ),
        reserved_settings=(
            "A fund at {rate} % gets {payment} dollars at the start of both years.",
        ),
        reserved_questions=(
            "Which sum does it reach at the end?",
            "Give its value as the second year ends.",
        ),
    ),
    Plan(
        name="loan_two_years",
        topic="annuities",
        quantities={"loan": _SUM, "rate": _RATE, "payment": _PAYMENT},
        steps=(
            ("year_one", "loan + loan/100*rate - payment"),
            ("balance", "year_one + year_one/100*rate - payment"),
        ),
        oracle=lambda v: future_value(v["rate"], 2, -v["payment"], v["loan"]),
        settings=(
            (
                "A loan of {loan} dollars at {rate} % is repaid by {payment} dollars at the end "
                "of each year."
            ),
            (
                "At {rate} % a year, {loan} dollars are borrowed and {payment} dollars are "
                "repaid every year-end."
            ),
            (
                "A borrower of {loan} dollars at {rate} % pays back {payment} dollars at each "
                "year-end."
            ),
        ),
        questions=("What is owed after two years?", "What debt is left after the second payment?"),
        reserved_settings=(
            "Each year-end {payment} dollars go toward a debt of {loan} dollars at {rate} %.",
        ),
        reserved_questions=(
            "Which balance remains after two years?",
            "How much is still due once two years are over?",
        ),
    ),
    Plan(
        name="declining_two_years",
        topic="depreciation",
        quantities={"cost": Quantity(("cost",), "dollars", 50, 900, 10), "rate": _RATE},
        steps=(
            ("year_one", "cost - cost/100*rate"),
            ("book_value", "year_one - year_one/100*rate"),
        ),
        oracle=lambda v: future_value(-v["rate"], 2, _ZERO, v["cost"]),
        settings=(
            "A tractor of {cost} dollars loses {rate} % of its remaining value every year.",
            "Declining-balance depreciation at {rate} % applies to a server of {cost} dollars.",
            "Each year {rate} % of the book value of a {cost} dollar boiler is written off.",
        ),
        questions=(
            "What is the book value after two years?",
            "What is it worth when two years are over?",
        ),
        reserved_settings=(
            "By the declining-balance method, {rate} % a year comes off a mower of {cost} dollars.",
        ),
        reserved_questions=(
            "Which value is left after year two?",
            "State its value two years later.",
        ),
    ),
)


def _rows(low: float, high: float, step: float, *names: str) -> dict[str, Quantity]:
    return {name: Quantity((name,), "", low, high, step) for name in names}


_BY_YEAR = (
    "Sales by year: first {first}, second {second}, third {third}.",
    "Visitors in three years: first year {first}, second year {second}, third year {third}.",
    "Year / costs: first / {first}; second / {second}; third / {third}.",
)
_BY_YEAR_RESERVED = (
    "Orders per year were first: {first}, second: {second}, third: {third}.",
    "Members, year after year: first {first} | second {second} | third {third}.",
)
_BY_PRODUCT = (
    "Sales by product: tea {tea}, coffee {coffee}, cake {cake}.",
    "Costs per product: tea {tea}; coffee {coffee}; cake {cake}.",
    "Product / orders: tea / {tea}, coffee / {coffee}, cake / {cake}.",
)
_BY_PRODUCT_RESERVED = (
    "Returns of each product: tea: {tea}, coffee: {coffee}, cake: {cake}.",
    "Items in stock: tea {tea} | coffee {coffee} | cake {cake}.",
)
_BY_REGION = (
    "Sales by region: north {north}, south {south}, east {east}, west {west}.",
    "Visitors per region: north {north}; south {south}; east {east}; west {west}.",
    "Region / costs: north / {north}, south / {south}, east / {east}, west / {west}.",
)
_BY_REGION_RESERVED = (
    "Orders of each region: north: {north}, south: {south}, east: {east}, west: {west}.",
    "Staff: north {north} | south {south} | east {east} | west {west}.",
)

TABLES = (
    Plan(
        name="table_total",
        topic="tables",
        quantities=_rows(10, 320, 1, "first", "second", "third"),
        steps=(("total", "first + second + third"),),
        oracle=lambda v: sum(v.values()),
        settings=_BY_YEAR,
        questions=("What is the total?", "How many is that for all years together?"),
        reserved_settings=_BY_YEAR_RESERVED,
        reserved_questions=("What do the years add up to?",),
    ),
    Plan(
        name="table_change",
        topic="tables",
        quantities=_rows(10, 600, 1, "first", "second", "third"),
        steps=(("change", "third - second"),),
        oracle=lambda v: v["third"] - v["second"],
        settings=_BY_YEAR,
        questions=(
            "What is the change from the second to the third?",
            "By how much does the third exceed the second?",
        ),
        reserved_settings=_BY_YEAR_RESERVED,
        reserved_questions=("What was the rise after the second year?",),
    ),
    Plan(
        name="table_mean",
        topic="tables",
        quantities=_rows(10, 150, 1, "first", "second", "third"),
        steps=(("mean", "(first + second + third)/3"),),
        oracle=lambda v: sum(v.values()) / len(v),
        settings=_BY_YEAR,
        questions=("What is the mean of the three years?", "What is the yearly average?"),
        reserved_settings=_BY_YEAR_RESERVED,
        reserved_questions=("What comes out as the mean per year?",),
    ),
    Plan(
        name="table_percent_change",
        topic="tables",
        quantities=_rows(20, 600, 10, "first", "third")
        | {"second": Quantity(("second",), "", 20, 900, 2)},
        steps=(("change", "second - first"), ("percent_change", "change/(first/100)")),
        oracle=lambda v: v["second"] / v["first"] * 100 - 100,
        settings=_BY_YEAR,
        questions=(
            "What is the percent change from the first to the second?",
            "By what percentage does the second exceed the first?",
        ),
        reserved_settings=_BY_YEAR_RESERVED,
        reserved_questions=("How many percent was the rise after the first year?",),
    ),
    Plan(
        name="table_share",
        topic="tables",
        quantities=_rows(5, 300, 5, "tea", "coffee", "cake"),
        steps=(("total", "tea + coffee + cake"), ("share", "coffee/(total/100)")),
        oracle=lambda v: v["coffee"] * 100 / sum(v.values()),
        settings=_BY_PRODUCT,
        questions=(
            "What percentage of the total is coffee?",
            "What is the share of coffee in percent?",
        ),
        reserved_settings=_BY_PRODUCT_RESERVED,
        reserved_questions=("How many percent of all belong to coffee?",),
    ),
    Plan(
        name="table_others",
        topic="tables",
        quantities=_rows(10, 320, 1, "tea", "coffee", "cake"),
        steps=(("others", "tea + coffee"), ("difference", "others - cake")),
        oracle=lambda v: sum(v.values()) - 2 * v["cake"],
        settings=_BY_PRODUCT,
        questions=(
            "By how much do tea and coffee together exceed cake?",
            "What is tea plus coffee less cake?",
        ),
        reserved_settings=_BY_PRODUCT_RESERVED,
        reserved_questions=("How far is cake below tea and coffee combined?",),
    ),
    Plan(
        name="table_range",
        topic="tables",
        quantities=_rows(10, 900, 1, "north", "south", "east", "west"),
        picks={"largest": max, "smallest": min},
        steps=(("difference", "largest - smallest"),),
        oracle=lambda v: max(v.values()) - min(v.values()),
        settings=_BY_REGION,
        questions=(
            "What is the difference of the largest and the smallest?",
            "How far apart are the highest and the lowest?",
        ),
        reserved_settings=_BY_REGION_RESERVED,
        reserved_questions=("By how much does the top region beat the bottom one?",),
    ),
    Plan(
        name="table_mean_of_four",
        topic="tables",
        quantities=_rows(10, 160, 2, "north", "south", "east", "west"),
        steps=(("total", "north + south + east + west"), ("mean", "total/4")),
        oracle=lambda v: sum(v.values()) / len(v),
        settings=_BY_REGION,
        questions=("What is the mean of the four regions?", "What is the average per region?"),
        reserved_settings=_BY_REGION_RESERVED,
        reserved_questions=("Which mean do the regions have?",),
    ),
    Plan(
        name="table_region_years",
        topic="tables",
        quantities=_rows(10, 400, 1, "north_first", "north_second", "south_first", "south_second"),
        steps=(
            ("first", "north_first + south_first"),
            ("second", "north_second + south_second"),
            ("growth", "second - first"),
        ),
        oracle=lambda v: (
            (v["north_second"] - v["north_first"]) + (v["south_second"] - v["south_first"])
        ),
        settings=(
            (
                "Sales, first and second year: north {north_first}, {north_second}; south "
                "{south_first}, {south_second}."
            ),
            (
                "Visitors by region and year: north first {north_first}, second {north_second}; "
                "south first {south_first}, second {south_second}."
            ),
            (
                "First year: north {north_first}, south {south_first}. Second year: north "
                "{north_second}, south {south_second}."
            ),
        ),
        questions=(
            "How much did both regions grow together?",
            "What is the change of the total over the year?",
        ),
        reserved_settings=(
            (
                "Orders / first / second: north / {north_first} / {north_second}; south "
                "/ {south_first} / {south_second}."
            ),
        ),
        reserved_questions=(
            "What is the rise of the yearly total?",
            "By how much did the sum of regions go up?",
        ),
    ),
    Plan(
        name="table_total_profit",
        topic="tables",
        quantities=_rows(50, 450, 1, "tea_sales", "coffee_sales")
        | _rows(10, 300, 1, "tea_costs", "coffee_costs"),
        steps=(
            ("tea_profit", "tea_sales - tea_costs"),
            ("coffee_profit", "coffee_sales - coffee_costs"),
            ("total_profit", "tea_profit + coffee_profit"),
        ),
        oracle=lambda v: v["tea_sales"] + v["coffee_sales"] - v["tea_costs"] - v["coffee_costs"],
        settings=(
            (
                "Tea: sales {tea_sales}, costs {tea_costs}. Coffee: sales {coffee_sales}, costs "
                "{coffee_costs}."
            ),
            (
                "Product, sales, costs: tea, {tea_sales}, {tea_costs}; coffee, {coffee_sales}, "
                "{coffee_costs}."
            ),
            (
                "Sales: tea {tea_sales}, coffee {coffee_sales}. Costs: tea {tea_costs}, coffee "
                "{coffee_costs}."
            ),
        ),
        questions=("What is the total profit?", "How much profit do both products make?"),
        reserved_settings=(
            (
                "Tea sells {tea_sales} at costs of {tea_costs}; coffee sells "
                "{coffee_sales} at costs of {coffee_costs}."
            ),
        ),
        reserved_questions=(
            "What do the two earn together?",
            "Which profit is left over both products?",
        ),
    ),
    Plan(
        name="table_revenue",
        topic="tables",
        quantities=_rows(2, 12, 1, "tea_price", "cake_price")
        | _rows(4, 80, 1, "tea_units", "cake_units"),
        steps=(
            ("tea_revenue", "tea_price*tea_units"),
            ("cake_revenue", "cake_price*cake_units"),
            ("revenue", "tea_revenue + cake_revenue"),
        ),
        oracle=lambda v: sum(v[f"{name}_price"] * v[f"{name}_units"] for name in ("tea", "cake")),
        settings=(
            "Price and units sold: tea {tea_price}, {tea_units}; cake {cake_price}, {cake_units}.",
            (
                "Tea: price {tea_price}, units {tea_units}. Cake: price {cake_price}, units "
                "{cake_units}."
            ),
            (
                "Prices: tea {tea_price}, cake {cake_price}. Units sold: tea {tea_units}, cake "
                "{cake_units}."
            ),
        ),
        questions=("What is the total revenue?", "How much do both products bring in?"),
        reserved_settings=(
            (
                "Tea goes {tea_units} times at {tea_price} dollars, cake {cake_units} "
                "times at {cake_price} dollars."
            ),
        ),
        reserved_questions=("What do they take in together?", "Which revenue results?"),
    ),
)


def _with_oracle(skill: Skill, oracle: Callable[[Mapping[str, Fraction]], float]) -> Skill:
    return replace(skill, oracle=lambda values: round_money(oracle(exact_values(values))))


def build_all() -> dict[str, Skill]:
    """All skills: the laws and compositions, the compound plans and the tables."""
    skills = build_skills(LAWS, COMPOSITIONS, FRAMES, RESERVED_FRAMES)
    for name, oracle in FINANCIAL_ORACLES.items():
        skills[name] = _with_oracle(skills[name], oracle)
    skills |= {plan.name: plan.skill() for plan in COMPOUND + TABLES}
    return skills | {skill.name: skill for skill in special.FINANCE}


DOMAIN = Domain(
    name="finance",
    description="Quantitative problems from finance: apply the right rule or read a small table, "
    "step by step.",
    answer_format="The solution ends with 'Answer: ' and a plain number in the unit of the "
    "problem.",
    grader="numeric",
    skills=build_all(),
    special_topics=special.FINANCE_TOPICS,
)
