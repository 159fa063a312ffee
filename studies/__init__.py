"""The questions: one function a study, see ``hrsnn list``."""
