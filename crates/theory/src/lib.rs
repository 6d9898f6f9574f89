//! Exactly known learning coefficients, free energies and finite-n expectations.
//!
//! Singular learning theory says that the evidence of a model behaves as
//! `Z(n) ~ C n^(-lambda) (log n)^(m-1)` (Watanabe 2009), with the *learning coefficient* `lambda`
//! (a positive rational) and its *multiplicity* `m`. Samplers measure these numbers at finite `n`,
//! finite localisation and finite step. The crate therefore holds three kinds of truth:
//!
//! - **asymptotic**: `lambda` and `m` as exact rationals, each family in a module of its own with formula, conditions and
//!   source; the rules by which they combine ([`LearningCoefficient`]); and what follows from them;
//! - **finite n and gamma**: `E[nbeta (L - L(w*))]` under `exp(-nbeta L - gamma/2 |w - w*|^2)`, the
//!   number that an LLC estimator converges to;
//! - **finite step and chain**: the exact mean and variance of what an SGLD chain reports.
//!
//! | families | modules |
//! |---|---|
//! | germs | [`regular`](mod@regular), [`normal_crossing`], [`newton`], [`plane_curve`], [`line_arrangement`], [`radial`] |
//! | products of matrices | [`reduced_rank`], [`reduced_rank_local`], [`deep_linear`], [`softmax_linear`], [`attention`], [`symmetric_factorisation`], [`nmf`], [`latent_dirichlet`], [`latent_class`], [`linear_in_parameters`] |
//! | networks | [`tanh_network`], [`vandermonde`], [`relu_unit`], [`quadratic_network`], [`modular_addition`], [`modular_fourier`], [`quadratic_theorems`], [`superposition`], [`restricted_boltzmann`] |
//! | statistical models | [`finite_mixture`], [`naive_bayes`], [`factor_analysis`], [`gaussian_latent_forest`] |
//!
//! | what follows | modules |
//! |---|---|
//! | asymptotics | [`free_energy`], [`generalisation`], [`singular_fluctuation`], [`wbic`](mod@wbic), [`sbic`](mod@sbic), [`volume`], [`thermal`] |
//! | exact at finite n | [`localised_gaussian`], [`least_squares`], [`normal_crossing_law`], [`radial_product_law`](mod@radial_product_law), [`box_law`](mod@box_law), [`reduced_rank_law`](mod@reduced_rank_law), [`partially_linear`], [`two_layer_curvature`](mod@two_layer_curvature) |
//! | exact at finite step | [`sgld_law`] |
//!
//! Where only a bound is known, [`Known`] says so.
//!
//! A sampler is tested against the last two, never against `lambda`: for `K = w1^2 w2^2`
//! (`lambda = 1/2`, `m = 2`) the exact value at `n = 10^6` is still 15% below `lambda`.
//!
//! Conventions: losses are means over samples, in nats; `nbeta` is n times the inverse temperature;
//! `gamma` is the localisation strength; `step_size` is ε with drift ε/2 and noise variance ε.
//! Absent by design: random numbers, files, tensors.

pub mod attention;
mod bessel_k;
pub mod box_law;
pub mod deep_linear;
pub mod factor_analysis;
mod finite_law;
pub mod finite_mixture;
pub mod free_energy;
mod gauss_legendre;
pub mod gaussian_latent_forest;
pub mod generalisation;
#[cfg(test)]
mod jacobian_rank;
mod known;
pub mod latent_class;
pub mod latent_dirichlet;
mod learning_coefficient;
pub mod least_squares;
pub mod line_arrangement;
pub mod linear_in_parameters;
pub mod localised_gaussian;
mod log_gamma;
#[cfg(test)]
mod matrix_germ;
mod mellin_barnes;
mod mixture_moments;
pub mod modular_addition;
pub mod modular_fourier;
pub mod naive_bayes;
pub mod newton;
pub mod nmf;
pub mod normal_crossing;
pub mod normal_crossing_law;
pub mod partially_linear;
pub mod plane_curve;
pub mod prime_field;
pub mod quadratic_network;
pub mod quadratic_theorems;
pub mod radial;
pub mod radial_product_law;
#[cfg(test)]
mod rank_pattern;
pub mod reduced_rank;
pub mod reduced_rank_law;
pub mod reduced_rank_local;
pub mod regular;
pub mod relu_unit;
pub mod restricted_boltzmann;
pub mod sbic;
pub mod sgld_law;
pub mod singular_fluctuation;
#[cfg(test)]
mod singular_value_chain;
mod size;
pub mod softmax_linear;
pub mod superposition;
pub mod symmetric_factorisation;
pub mod tanh_network;
pub mod thermal;
pub mod two_layer_curvature;
mod univariate;
pub mod vandermonde;
#[cfg(test)]
mod vertex_enumeration;
pub mod volume;
pub mod wbic;

pub use attention::Attention;
pub use bessel_k::scaled_bessel_k;
pub use box_law::box_law;
pub use deep_linear::{DeepLinear, DeepLinearError};
pub use factor_analysis::{FactorAnalysis, FactorAnalysisError, FactorAnalysisTruth};
pub use finite_law::{FiniteLaw, FiniteLawError};
pub use finite_mixture::{FiniteMixture, FiniteMixtureError, added_component};
pub use free_energy::{
    FreeEnergyError, Phase, critical_n, crossings, phase_diagram, winning_phase,
};
pub use gaussian_latent_forest::{GaussianLatentForest, GaussianLatentForestError};
pub use generalisation::{Generalisation, GeneralisationError};
pub use known::{Known, NotExact, NotOrdered};
pub use latent_class::LatentClass;
pub use latent_dirichlet::LatentDirichlet;
pub use learning_coefficient::{LearningCoefficient, LearningCoefficientError};
pub use least_squares::{LeastSquares, LeastSquaresError};
pub use line_arrangement::{LineArrangement, LineArrangementError};
pub use linear_in_parameters::{LinearInParameters, LinearInParametersError};
pub use localised_gaussian::{LocalisedGaussian, LocalisedGaussianError};
pub use modular_addition::{ModularAddition, ModularAdditionError, ModularLoss};
pub use modular_fourier::{FourierSolution, FourierSolutionError};
pub use naive_bayes::{ClassWeights, NaiveBayes, NaiveBayesError, NaiveBayesTruth};
pub use newton::{Newton, NewtonError};
pub use nmf::{NmfError, NmfTruth, NonNegativeFactorisation};
pub use normal_crossing::{NormalCrossing, NormalCrossingError};
pub use normal_crossing_law::{NormalCrossingLaw, NormalCrossingLawError};
pub use partially_linear::{PartiallyLinear, PartiallyLinearError, PartiallyLinearLaw};
pub use plane_curve::{PlaneCurve, PlaneCurveError};
pub use prime_field::{FieldMatrix, PrimeField, PrimeFieldError};
pub use quadratic_network::{
    QuadraticNetwork, QuadraticNetworkError, Support, padded_by_dead_units, quadratic_unit_zero,
};
pub use radial::{Radial, RadialError};
pub use radial_product_law::{
    monomial_law, radial_law, radial_product_law, radial_product_log_volume,
};
pub use reduced_rank::ReducedRank;
pub use reduced_rank_law::reduced_rank_law;
pub use reduced_rank_local::{ReducedRankLocal, ReducedRankLocalError};
pub use regular::regular;
pub use relu_unit::{OneInputRelu, OneInputReluError, ReluTruth, ReluUnit, ReluUnitError};
pub use restricted_boltzmann::{RestrictedBoltzmann, RestrictedBoltzmannError};
pub use sbic::{SbicError, SbicModel, Submodel, sbic};
pub use sgld_law::{ChainAverage, SgldLaw, StepTooLarge};
pub use singular_fluctuation::{SingularFluctuationError, power_fluctuation, regular_fluctuation};
pub use size::{MAX_WIDTH, SizeError};
pub use softmax_linear::SoftmaxLinear;
pub use superposition::{Superposition, SuperpositionError, superposition_loss};
pub use symmetric_factorisation::SymmetricFactorisation;
pub use tanh_network::{TanhNetwork, TanhNetworkError};
pub use thermal::{Canonical, DensityOfStates, ThermalError, ThermalPhase, melting_temperature};
pub use two_layer_curvature::two_layer_curvature;
pub use vandermonde::{Vandermonde, VandermondeError};
pub use volume::VolumeLaw;
pub use wbic::{Wbic, WbicError, power_wbic_spread};
