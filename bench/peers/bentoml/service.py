"""Lead scoring with BentoML: typed input, its own server, metrics and health. No caller is checked, nothing is recorded.

    bentoml serve service:LeadScore --host 127.0.0.1 --port 3000
"""

import os
from operator import attrgetter

import bentoml
import lightgbm
import numpy
from pydantic import BaseModel, create_model

FEATURES = [f"f{number:02}" for number in range(32)]
features = attrgetter(*FEATURES)
# With names of a real model these are 32 lines.
Input = create_model("Input", id=str, **dict.fromkeys(FEATURES, float))


class Answer(BaseModel):
    subject: str
    output: float
    band: str


@bentoml.service(workers=1, logging={"access": {"enabled": False}}, tracing={"sample_rate": 0.0})
class LeadScore:
    def __init__(self):
        self.booster = lightgbm.Booster(model_file=os.environ["MODEL"])

    # `async` although nothing waits: the thread pool of a plain `def` costs more than the model.
    @bentoml.api
    async def decisions(self, input: Input) -> Answer:
        row = numpy.array([features(input)])
        output = float(self.booster.predict(row, num_threads=1)[0])
        band = "green" if output >= 0.7 else "yellow" if output >= 0.4 else "red"
        return Answer(subject=input.id, output=output, band=band)
