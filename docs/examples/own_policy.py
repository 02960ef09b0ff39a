"""A policy of one's own: write about the weakest topics, check, train, again; submit at the end."""


class Weakest:
    name = "weakest"

    def begin(self, briefing):
        self.public, self.queue = briefing.task.public, []

    def act(self, observation, report):
        left = {axis: limit - used for axis, (used, limit) in report.budget}
        if not self.queue and (left["calls"] < 128 or left["trainings"] < 1 or left["steps"] < 5):
            return {"op": "submit"}
        if not self.queue:
            weakest = {topic.name for topic in report.slices[:2]}  # they come weakest first
            like = [item.id for item in self.public if item.topic in weakest][:64]
            write = {"op": "generate", "brief": "", "n": 48, "examples": like}
            self.queue = [write, {"op": "verify"}, {"op": "dedup"}, {"op": "train"}]
        return self.queue.pop(0)

    def state_dict(self):  # these two let a run go on after a kill
        return {"queue": self.queue}

    def load_state_dict(self, state):
        self.queue = state["queue"]
