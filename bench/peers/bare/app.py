"""Lead scoring the short way: FastAPI, pydantic, LightGBM. No caller is checked, nothing is recorded, nothing is written back.

    uvicorn app:app --host 127.0.0.1 --port 8000 --loop uvloop --http httptools --no-access-log
"""

import os
from operator import attrgetter

import lightgbm
import numpy
from fastapi import FastAPI
from pydantic import BaseModel, create_model

FEATURES = [f"f{number:02}" for number in range(32)]
booster = lightgbm.Booster(model_file=os.environ["MODEL"])
features = attrgetter(*FEATURES)
# With names of a real model these are 32 lines.
Input = create_model("Input", id=str, **dict.fromkeys(FEATURES, float))


class Question(BaseModel):
    input: Input


class Answer(BaseModel):
    subject: str
    output: float
    band: str


app = FastAPI()


# `async` although nothing waits: the thread pool of a plain `def` costs more than the 30 µs of the model.
@app.post("/decisions")
async def decide(question: Question) -> Answer:
    row = numpy.array([features(question.input)])
    output = float(booster.predict(row, num_threads=1)[0])
    band = "green" if output >= 0.7 else "yellow" if output >= 0.4 else "red"
    return Answer(subject=question.input.id, output=output, band=band)
