"""Telegram: events as messages of a bot."""

from notify.backends.telegram.backend import TelegramBackend

__all__ = ["TelegramBackend"]
