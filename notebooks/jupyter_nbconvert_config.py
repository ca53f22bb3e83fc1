"""The lessons as web pages, in this folder: jupyter nbconvert --to html *.ipynb"""

from warmup_course.lesson_files import as_web_page

c = get_config()  # noqa: F821  (nbconvert defines it)
c.HTMLExporter.preprocessors = [as_web_page]
