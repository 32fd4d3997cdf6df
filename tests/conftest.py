"""What all tests share: hypothesis draws the same examples in every run, and no test takes its time for a failure."""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "llmarch",
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=40,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.load_profile("llmarch")
