"""No public name of version 0.1 is lost: what scripts imported then, they import now."""

import subprocess
import sys
from importlib import import_module

import pytest

import hrsnn

NAMES = {
    "hrsnn": """
        BackendUnavailable BuildOnly CurrentCode Ensemble Forecaster FrameEncoder Gamma LatencyEncoder LogNormal
        MultimodalClassifier Normal PoissonEncoder PopulationCode PopulationEncoder RateCode Reservoir STDPClassifier
        STDPPruning Uniform datasets metrics models optimize plots pruning search_plots topology use_backend""",
    "hrsnn.datasets": """
        CALTECH_CATEGORIES DVS_SHAPE NMNIST_SHAPE SHD_UNITS SYNTHETIC_GESTURES SYNTHETIC_SPEAKERS add_noise bin_events
        caltech101 digits dvs_gesture fashion_mnist fsdd google_stock lorenz63 lorenz96 mackey_glass make_events
        match_labels mnist nmnist pool_events read_aedat read_csv_column read_idx read_nmnist read_shd read_sound
        roessler shd speech_commands synthetic_gestures synthetic_shd synthetic_spoken_digits synthetic_stock
        synthetic_wind ti46 wind_speed write_shd""",
    "hrsnn.metrics": """
        average_activation effective_rank energy forecast_error generalisation_rank heterogeneity
        inverse_participation_ratio mean_correlation memory_capacity nrmse sops spike_efficiency spike_statistics
        valid_prediction_time""",
    "hrsnn.models": """
        AdaptiveConductanceLIF AdaptiveLIF BalancedSTDP ConductanceLIF CrossModalSTDP LIF PowerLawSTDP STDP ShortTerm
        Static""",
    "hrsnn.optimize": """
        Evaluation IndefiniteKernelWarning Integer Search Space WassersteinMatern convergence laws_before_and_after
        length_scales minimize parameter_search partial_dependence paste quantile_embedding random_search resume sage
        sampled_sage wasserstein write_csv""",
    "hrsnn.pruning": """
        LyapunovNoisePruning LyapunovSpectrum RateNetwork STDPPruning Timescales activity_pruning betweenness codebook
        connectivity critical delocalize inverse_participation_ratios lyapunov_noise lyapunov_noise_pruning
        lyapunov_spectrum node_exponents optimize_timescales prune prune_inactive prune_nodes prune_to prune_uniform
        prune_weakest qr_spectrum quantize random_graph random_mask storage_bits thin twin_exponent""",
}
MODULES = {
    "plots": """
        accuracy confusion connectivity convergence curves figure forecast heat_map raster receptive_fields
        weight_histogram""",
    "search_plots": "convergence figures law_before_and_after length_scales partial_dependence save_report",
    "topology": "PRESETS clustered distance_dependent project_inputs random small_world",
}


@pytest.mark.parametrize("module", NAMES)
def test_every_name_of_the_first_version_is_there(module):
    found = import_module(module)
    assert [name for name in NAMES[module].split() if not hasattr(found, name)] == []
    assert set(NAMES[module].split()) <= set(found.__all__)


@pytest.mark.parametrize("module", MODULES)
def test_public_modules_have_their_names(module):
    found = getattr(hrsnn, module)
    assert [name for name in MODULES[module].split() if not hasattr(found, name)] == []


def test_public_names_are_what_their_rooms_define():
    assert hrsnn.STDPClassifier.__module__ == "hrsnn.stdp.classifier"
    assert hrsnn.stdp.STDPClassifier is hrsnn.STDPClassifier
    assert hrsnn.reservoirs.topology is hrsnn.topology
    assert hrsnn.optimize.plots is hrsnn.search_plots


def test_warnings_of_brian2_about_pyparsing_reach_no_user():
    code = (
        "import hrsnn; from brian2 import ms; from hrsnn.models import LIF;"
        "print(LIF().build(2, name='exc', dt=1*ms).v[:].sum())"
    )
    command = [sys.executable, "-W", "error::DeprecationWarning", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "0.0\n"), done.stderr
