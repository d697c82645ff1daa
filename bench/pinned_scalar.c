/* The opponent: the redistribute model (Steps 2.1 and 2.2 of the paper) as a plain scalar C program would have it.
 *
 *   gcc -O3 -march=native -ffast-math -o pinned_scalar pinned_scalar.c -lm
 *   ./pinned_scalar BALLS REPLICAS COLLISIONS     (collisions per replica)
 *
 * prints: seconds, collisions per second, relative energy drift of the last replica. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static uint64_t s[4];

static uint64_t rotl(uint64_t x, int k) { return (x << k) | (x >> (64 - k)); }

/* xoshiro256++ 1.0 (Blackman and Vigna) */
static uint64_t next(void) {
  const uint64_t result = rotl(s[0] + s[3], 23) + s[0], t = s[1] << 17;
  s[2] ^= s[0];
  s[3] ^= s[1];
  s[1] ^= s[2];
  s[0] ^= s[3];
  s[2] ^= t;
  s[3] = rotl(s[3], 45);
  return result;
}

static double uniform(void) { return (next() >> 11) * 0x1.0p-53; }

static void collide(double *v, int n) {
  const double third = 2 * M_PI / 3;
  const int c = 1 + (int)(uniform() * (n - 2));
  const double m = (v[c - 1] + v[c] + v[c + 1]) / 3;
  const double x = v[c - 1] - m, y = v[c] - m, z = v[c + 1] - m;
  const double radius = sqrt(2. / 3. * (x * x + y * y + z * z));
  const double angle = 2 * M_PI * uniform();
  double a = m + radius * sin(angle), b = m + radius * sin(angle + third), d = m + radius * sin(angle + 2 * third);
  if (next() >> 63) {
    if (a > b) { double swap = a; a = b; b = swap; }
  } else {
    if (b > d) { double swap = b; b = d; d = swap; }
  }
  v[c - 1] = a, v[c] = b, v[c + 1] = d;
}

static double energy(const double *v, int n) {
  double sum = 0;
  for (int i = 0; i < n; i++) sum += v[i] * v[i];
  return sum;
}

int main(int argc, char **argv) {
  if (argc != 4) return fprintf(stderr, "usage: %s BALLS REPLICAS COLLISIONS\n", argv[0]), 2;
  const int n = atoi(argv[1]), replicas = atoi(argv[2]);
  const long collisions = atol(argv[3]);
  double *v = malloc(n * sizeof *v), drift = 0, seconds = 0;
  for (int r = 0; r < replicas; r++) {
    for (int k = 0; k < 4; k++) s[k] = 0x9E3779B97F4A7C15ULL * (4 * r + k + 1) ^ 0xBF58476D1CE4E5B9ULL;
    for (int i = 0; i < n; i++) { /* Box-Muller; the paper's initial profile */
      const double x = i / (n - 1.), mu = erf(27 * pow(x - .5, 3)), sigma = (1 - cos(2 * M_PI * x)) / 1000;
      v[i] = mu + sigma * sqrt(-2 * log(1 - uniform())) * cos(2 * M_PI * uniform());
    }
    const double before = energy(v, n);
    struct timespec t0, t1;
    clock_gettime(CLOCK_MONOTONIC, &t0);
    for (long k = 0; k < collisions; k++) collide(v, n);
    clock_gettime(CLOCK_MONOTONIC, &t1);
    seconds += (t1.tv_sec - t0.tv_sec) + 1e-9 * (t1.tv_nsec - t0.tv_nsec);
    drift = energy(v, n) / before - 1;
  }
  printf("%.6f %.6e %.3e\n", seconds, replicas * (double)collisions / seconds, drift);
  return 0;
}
