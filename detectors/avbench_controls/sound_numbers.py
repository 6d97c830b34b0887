"""What forged sound is caught by, measured without a network: 18 numbers of a clip, and two courses in time.

Vocoders lose the phase and the noise of a voice: their periods are too much alike (cepstral and autocorrelation peak),
their pulses too peaked or of the wrong sign (kurtosis, skewness), their spectrum too steady from frame to frame (flux).
A word spliced in brings another level, floor and colour.

Letters: B clips, S samples, T spectral frames of 10 ms, N frequencies, V moments, as many as pictures.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

RATE = 16_000
HOP, WINDOW, FFT = 160, 400, 512
PITCH = (40, 250)  # samples of a period: 400 to 64 Hz
PITCH_WINDOW = 800
VOICED = 0.5  # of the autocorrelation's peak
QUIET = 1e-9


@dataclass(frozen=True, slots=True)
class SoundSeries:
    """How a sound goes, (B,V) each, a value for each picture: log energy, change of the spectrum."""

    energy: Tensor
    flux: Tensor


def sound_numbers(audio_BS: Tensor, frames: int) -> tuple[dict[str, Tensor], SoundSeries]:
    """Return 18 numbers (B,) by name of sound at 16 kHz, and its course at so many moments for `sync_numbers`."""
    power_BTN = _power(audio_BS)
    energy_BT = power_BTN.sum(dim=2).log()
    loud_BT = (energy_BT >= _middle(energy_BT)).float()
    log_BTN = power_BTN.log()
    flux_BT = log_BTN.diff(dim=1).abs().mean(dim=2)
    frequency_N = torch.linspace(0, 1, power_BTN.shape[2], device=audio_BS.device)
    centroid_BT = (power_BTN * frequency_N).sum(dim=2) / power_BTN.sum(dim=2)
    flatness_BT = log_BTN.mean(dim=2) - power_BTN.mean(dim=2).log()
    cepstrum_BT = torch.fft.irfft(log_BTN, dim=2)[..., FFT // 16 : FFT // 16 + 168].amax(dim=2)  # 80 to 500 Hz
    peaked_BT = _kurtosis(audio_BS)
    crossings = (audio_BS[:, 1:] * audio_BS[:, :-1] < 0).float().mean(dim=1)
    numbers = {
        "level": energy_BT.mean(dim=1),
        "level_sd": energy_BT.std(dim=1),
        "noise_floor": energy_BT.sort(dim=1).values[:, energy_BT.shape[1] // 10] - _where(energy_BT, loud_BT),
        "zero_crossings": crossings,
        "centroid": _where(centroid_BT, loud_BT),
        "flatness": _where(flatness_BT, loud_BT),
        "flux": flux_BT.mean(dim=1),
        "flux_sd": flux_BT.std(dim=1),
        "flux_least": flux_BT.amin(dim=1),
        "ripple": _where(log_BTN.diff(dim=2).abs().mean(dim=2), loud_BT),
        "cepstral_peak": _where(cepstrum_BT, loud_BT),
        "cepstral_peak_sd": _sd_where(cepstrum_BT, loud_BT),
        **_pitch(audio_BS),
        "kurtosis": peaked_BT.mean(dim=1),
        "kurtosis_sd": peaked_BT.std(dim=1),
        "skewness": _skewness(audio_BS),
    }
    series = SoundSeries(
        energy=F.adaptive_avg_pool1d(audio_BS.square()[:, None], frames)[:, 0].add(1e-6).log(),
        flux=F.adaptive_avg_pool1d(flux_BT[:, None], frames)[:, 0],
    )
    return numbers, series


def _power(audio_BS: Tensor) -> Tensor:
    """Return the power spectrum (B,T,N), Hann windows of 25 ms every 10 ms."""
    window = torch.hann_window(WINDOW, device=audio_BS.device)
    spectrum = torch.stft(audio_BS, FFT, hop_length=HOP, win_length=WINDOW, window=window, return_complex=True)
    return spectrum[..., : audio_BS.shape[1] // HOP].abs().square().transpose(1, 2) + QUIET


def _middle(x_BT: Tensor) -> Tensor:
    """Return the median (B,1); torch's own has no deterministic kernel on a GPU."""
    return x_BT.sort(dim=1).values[:, (x_BT.shape[1] - 1) // 2, None]


def _where(x_BT: Tensor, weight_BT: Tensor) -> Tensor:
    """Return the mean over frames of weight one."""
    return (x_BT * weight_BT).sum(dim=1) / weight_BT.sum(dim=1).clamp(min=1)


def _sd_where(x_BT: Tensor, weight_BT: Tensor) -> Tensor:
    return _where((x_BT - _where(x_BT, weight_BT)[:, None]).square(), weight_BT).sqrt()


def _pitch(audio_BS: Tensor) -> dict[str, Tensor]:
    """Return how periodic voiced frames are: the autocorrelation's peak, its spread, the jitter of periods."""
    window = torch.hann_window(PITCH_WINDOW, device=audio_BS.device)
    framed = audio_BS.unfold(1, PITCH_WINDOW, HOP) * window
    own = _autocorrelation(window)
    alike = _autocorrelation(framed) * (own[0] / own)
    peak_BT, period_BT = (alike[..., PITCH[0] :] / (alike[..., :1] + 1e-8)).max(dim=2)
    period_BT = (period_BT + float(PITCH[0])).log()
    energy_BT = framed.square().sum(dim=2)
    heard_BT = energy_BT > _middle(energy_BT) / 2
    voiced_BT = ((peak_BT > VOICED) & heard_BT).float()
    jitter_BT = period_BT.diff(dim=1).abs().clamp(max=0.1)  # more is another octave
    return {
        "periodicity": _where(peak_BT, voiced_BT),
        "periodicity_sd": (_sd_where(peak_BT, voiced_BT) + 1e-4).log(),
        "jitter": (_where(jitter_BT, voiced_BT[:, 1:] * voiced_BT[:, :-1]) + 1e-4).log(),
    }


def _autocorrelation(x: Tensor) -> Tensor:
    """Return the autocorrelation up to the longest period along the last axis."""
    alike: Tensor = torch.fft.irfft(torch.fft.rfft(x, 2048).abs().square())
    return alike[..., : PITCH[1]]


def _kurtosis(audio_BS: Tensor) -> Tensor:
    """Return log kurtosis (B,T) of the sound's slope in windows of 25 ms: how peaked its pulses are."""
    slope = (audio_BS[:, 1:] - 0.97 * audio_BS[:, :-1]).unfold(1, WINDOW, HOP)
    spread = slope.square().mean(dim=2)
    return (slope.pow(4).mean(dim=2) / (spread.square() + 1e-14)).clamp(0.1, 100).log()


def _skewness(audio_BS: Tensor) -> Tensor:
    """Return the skewness (B,), which a microphone and its polarity give a voice."""
    spread = audio_BS.square().mean(dim=1)
    return (audio_BS.pow(3).mean(dim=1) / (spread + 1e-8).pow(1.5)).clamp(-3, 3)
