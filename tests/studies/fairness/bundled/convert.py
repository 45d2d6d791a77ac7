"""Writes the tables beside this file from those that scikit-learn and statsmodels bring along.

python convert.py SITE_PACKAGES    the folder in which both packages are installed; only their data files are read

Every table has the column `group`, and the columns that `tables.ts` names. Rows with an empty cell are left out, and of more
than 4,000 rows every k-th is kept, so that a study of five seeds takes minutes.
"""
import csv
import gzip
import math
import pathlib
import sys

MOST = 4000
HERE = pathlib.Path(__file__).parent
SITE = pathlib.Path(sys.argv[1])


def rows_of(path, delimiter=","):
    with open(SITE / path, newline="") as file:
        return list(csv.DictReader(file, delimiter=delimiter, quotechar="'" if delimiter == "\t" else '"'))


def keep(rows, names):
    return [{name: row[name] for name in names} for row in rows]


def diabetes():
    """Efron, Hastie, Johnstone, Tibshirani (2004)."""
    with gzip.open(SITE / "sklearn/datasets/data/diabetes_data_raw.csv.gz", "rt") as file:
        data = [[float(x) for x in line.split()] for line in file]
    with gzip.open(SITE / "sklearn/datasets/data/diabetes_target.csv.gz", "rt") as file:
        target = [float(line) for line in file]
    names = ["age", "sex", "bmi", "bp", "s1", "s2", "s3", "s4", "s5", "s6"]
    for cells, y in zip(data, target):
        row = dict(zip(names, cells))
        sex = row.pop("sex")
        yield {"group": "sex 1" if sex == 1 else "sex 2", **row, "progression": y, "above": int(y > 140)}


def anes96():
    """American National Election Study 1996."""
    for row in rows_of("statsmodels/datasets/anes96/anes96.csv", "\t"):
        group = "60 or older" if float(row["age"]) >= 60 else "younger"
        names = ["popul", "TVnews", "selfLR", "PID", "educ", "income", "vote"]
        yield {"group": group, **{name: row[name] for name in names}}


def randhie():
    """RAND Health Insurance Experiment (Cameron and Trivedi 2005)."""
    for row in rows_of("statsmodels/datasets/randhie/randhie.csv"):
        visits = float(row["mdvis"])
        health = sum(k * float(row[name]) for k, name in [(1, "hlthg"), (2, "hlthf"), (3, "hlthp")])
        names = ["lncoins", "idp", "lpi", "fmde", "disea", "hlthg", "hlthf", "hlthp"]
        yield {
            "group": "limited" if float(row["physlm"]) > 0 else "not limited",
            **{name: row[name] for name in names},
            "poor_health": round(health),
            "log_visits": round(math.log1p(visits), 6),
            "any_visit": int(visits > 0),
        }


def fair():
    """Fair (1978), Redbook survey."""
    for row in rows_of("statsmodels/datasets/fair/fair.csv"):
        names = ["age", "yrs_married", "educ", "occupation", "occupation_husb", "affairs", "rate_marriage"]
        yield {
            "group": "religious" if float(row["religious"]) >= 3 else "not religious",
            **{name: row[name] for name in names},
            "children": round(float(row["children"])),
            "any_affair": int(float(row["affairs"]) > 0),
        }


def fair_pt():
    """Fair (1978), Psychology Today survey."""
    for row in rows_of("statsmodels/datasets/fair/fair_pt.csv"):
        names = ["age", "nmarried", "nchildren", "religious", "education", "occupation", "naffairs", "rate_marriage"]
        yield {
            "group": f"sex {row['sex']}",
            **{name: row[name] for name in names},
            "any_affair": int(float(row["naffairs"]) > 0),
        }


def birth_weight():
    """Cattaneo (2010), births in Pennsylvania."""
    for row in rows_of("statsmodels/treatment/tests/results/cataneo2.csv"):
        names = ["mage", "medu", "fage", "fedu", "nprenatal", "monthslb", "order", "alcohol", "deadkids"]
        yield {
            "group": "white" if row["mrace"] == "1" else "other",
            **{name: row[name] for name in names},
            "married": row["mmarried_"],
            "smoker": row["mbsmoke_"],
            "weight": float(row["bweight"]) / 1000,
            "low_weight": row["lbweight"],
        }


def doctor_visits():
    """Medicare expenditure panel (Cameron and Trivedi 2010)."""
    for row in rows_of("statsmodels/sandbox/regression/tests/racd10data_with_transformed.csv"):
        names = ["age", "educyr", "medicaid", "private", "phylim", "actlim", "totchr"]
        yield {
            "group": "female" if row["female"] == "1" else "male",
            **{name: row[name] for name in names},
            "log_income": round(math.log1p(max(0.0, float(row["income"]))), 6),
            "log_visits": round(math.log1p(float(row["docvis"])), 6),
        }


for make in (diabetes, anes96, randhie, fair, fair_pt, birth_weight, doctor_visits):
    rows = [row for row in make() if all(str(cell) not in ("", ".", "nan") for cell in row.values())]
    step = -(-len(rows) // MOST)
    rows = rows[::step]
    with open(HERE / f"{make.__name__.replace('_', '-')}.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    counts = {}
    for row in rows:
        counts[row["group"]] = counts.get(row["group"], 0) + 1
    print(make.__name__, len(rows), counts)
