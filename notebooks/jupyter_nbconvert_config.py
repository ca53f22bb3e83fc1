"""The lessons as web pages, in this folder: jupyter nbconvert --to html *.ipynb"""

from warmup_course.authoring.normal_form import as_web_page

c = get_config()  # noqa: F821  (nbconvert defines it)
c.HTMLExporter.preprocessors = [as_web_page]
