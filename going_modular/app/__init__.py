"""What the demo folder carries. These files import nothing from the course.

The lesson trains, counts, times and sets its threshold with them, and copies them into
the folder that goes out: what measures is what answers.
"""
