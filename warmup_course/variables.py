"""The environment variables that the course reads."""

DEVICE = "WARMUP_COURSE_DEVICE"  # the device, where a lesson has "auto"
HOME = "WARMUP_COURSE_HOME"  # the folder of the learner's answers
WORKSPACE = "WARMUP_COURSE_WORKSPACE"  # the folder of the learner's copies of the lessons
STRICT = "WARMUP_COURSE_STRICT"  # set: a claim that does not hold is an error
