"""The offline engine: language, category, tone, priority, summary and advice without any network."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from civicpulse.packs.model import Pack
from civicpulse.rules.masking.masker import mask
from civicpulse.rules.priority import choose_priority
from civicpulse.triage.advice import recommend
from civicpulse.triage.analysis import Analysis, CategoryScore, ReportText
from civicpulse.triage.languages import identify
from civicpulse.triage.model import Floats, TextModel
from civicpulse.triage.seeds import default_language_of, languages_of
from civicpulse.triage.sentiment import sentiment_of
from civicpulse.triage.summary import summarise
from civicpulse.triage.words import Reading, read

NAME: Final = "tfidf-linear"
CHUNK: Final = 256


class OfflineAnalyst:
    """Analyses for one tenant with its pack and its text model."""

    def __init__(self, pack: Pack, model: TextModel, *, version: str) -> None:
        self._pack = pack
        self._model = model
        self._version = version
        known = [(column, name) for column, name in enumerate(model.categories) if name in pack.categories]
        self._columns = [column for column, _ in known]
        self._names = [name for _, name in known]
        self._languages = languages_of(pack)
        self._default_language = default_language_of(pack)

    def analyse_now(self, texts: Sequence[ReportText]) -> list[Analysis]:
        """Makes one analysis per text, in order; thousands of texts a second."""
        found: list[Analysis] = []
        for start in range(0, len(texts), CHUNK):
            chunk = texts[start : start + CHUNK]
            readings = [read(text.text) for text in chunk]
            probabilities = self.probabilities(readings)
            found += [self._one(*parts) for parts in zip(chunk, readings, probabilities, strict=True)]
        self._model.trim()
        return found

    def probabilities(self, readings: Sequence[Reading]) -> Floats:
        """Computes (texts, categories of the pack that the model knows), rows sum to 1."""
        every = self._model.probabilities([reading.words for reading in readings])
        if len(self._columns) == every.shape[1]:
            return every
        own = every[:, self._columns]
        return np.asarray(own / np.maximum(own.sum(axis=1, keepdims=True), 1e-9), np.float32)

    def _one(self, text: ReportText, reading: Reading, probabilities: Floats) -> Analysis:
        scores = self._best(probabilities)
        # A text without a word says nothing, whatever is commonest.
        confidence = scores[0].score if reading.words else 0.0
        needs_person = confidence < self._pack.document.analysis.confidence_threshold
        category = self._pack.categories[scores[0].category]
        language = identify(reading, self._languages, default=self._default_language).language
        priority = choose_priority(
            default=category.default_priority,
            tags=text.tags,
            text=text.text,
            tag_priorities=self._pack.document.tag_priorities,
            hazard_words=self._pack.document.hazard_words,
        ).score
        return Analysis(
            category=category.id,
            category_scores=scores,
            priority=priority,
            sentiment=sentiment_of(reading, language),
            language=language,
            summary=summarise(mask(text.text).text),
            recommendation=recommend(self._pack, category, priority=priority, needs_person=needs_person),
            confidence=confidence,
            needs_person=needs_person,
            engine="offline",
            model=NAME,
            version=self._version,
        )

    def _best(self, probabilities: Floats) -> tuple[CategoryScore, ...]:
        order = np.argsort(-probabilities, kind="stable")[:3].tolist()
        return tuple(CategoryScore(self._names[index], round(float(probabilities[index]), 4)) for index in order)
