/* The stronger opponent: the redistribute model as C that a good programmer would write, REPLICAS at a time.
 *
 *   gcc -O3 -march=native -ffast-math -o pinned_vector pinned_vector.c -lm
 *   ./pinned_vector BALLS COLLISIONS     (collisions per replica)
 *
 * Replicas are innermost, loops plain and without branches, so that gcc computes with vectors and takes sine and cosine
 * from libmvec; two random words a collision, two trigonometric functions. Prints as pinned_scalar does. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define REPLICAS 16

static uint64_t s[4][REPLICAS];

/* xoshiro256++ 1.0 (Blackman and Vigna), one stream a replica */
static inline void next(uint64_t *restrict out) {
  for (int r = 0; r < REPLICAS; r++) {
    const uint64_t sum = s[0][r] + s[3][r], t = s[1][r] << 17;
    out[r] = ((sum << 23) | (sum >> 41)) + s[0][r];
    s[2][r] ^= s[0][r];
    s[3][r] ^= s[1][r];
    s[1][r] ^= s[2][r];
    s[0][r] ^= s[3][r];
    s[2][r] ^= t;
    s[3][r] = (s[3][r] << 45) | (s[3][r] >> 19);
  }
}

static void collide(double *restrict v, int n, long collisions) {
  uint64_t site[REPLICAS], turn[REPLICAS];
  double a[REPLICAS], b[REPLICAS], d[REPLICAS];
  long at[REPLICAS];
  for (long k = 0; k < collisions; k++) {
    next(site);
    next(turn);
    for (int r = 0; r < REPLICAS; r++) at[r] = (long)((site[r] >> 32) * (uint64_t)(n - 2) >> 32) * REPLICAS + r;
    for (int r = 0; r < REPLICAS; r++) a[r] = v[at[r]], b[r] = v[at[r] + REPLICAS], d[r] = v[at[r] + 2 * REPLICAS];
    for (int r = 0; r < REPLICAS; r++) {
      const double m = (a[r] + b[r] + d[r]) * (1. / 3), x = a[r] - m, y = b[r] - m, z = d[r] - m;
      const double radius = sqrt(2. / 3. * (x * x + y * y + z * z));
      const double angle = (double)(int64_t)(turn[r] >> 12) * (2 * M_PI * 0x1.0p-52);
      const double sine = radius * sin(angle), cosine = radius * sin(angle + M_PI / 2); /* gcc has no vector sincos */
      const double p = m + sine, q = m - sine / 2 + cosine * 0.86602540378443865;
      const double w = m - sine / 2 - cosine * 0.86602540378443865;
      const int left = site[r] & 1;
      const double low = fmin(p, q), high = fmax(p, q), low2 = fmin(q, w), high2 = fmax(q, w);
      a[r] = left ? low : p;
      b[r] = left ? high : low2;
      d[r] = left ? w : high2;
    }
    for (int r = 0; r < REPLICAS; r++) v[at[r]] = a[r], v[at[r] + REPLICAS] = b[r], v[at[r] + 2 * REPLICAS] = d[r];
  }
}

static double energy(const double *v, int n) {
  double sum = 0;
  for (int i = 0; i < n * REPLICAS; i++) sum += v[i] * v[i];
  return sum;
}

int main(int argc, char **argv) {
  if (argc != 3) return fprintf(stderr, "usage: %s BALLS COLLISIONS\n", argv[0]), 2;
  const int n = atoi(argv[1]);
  const long collisions = atol(argv[2]);
  double *v = malloc(n * REPLICAS * sizeof *v);
  uint64_t word[REPLICAS], other[REPLICAS];
  for (int r = 0; r < REPLICAS; r++)
    for (int k = 0; k < 4; k++) s[k][r] = 0x9E3779B97F4A7C15ULL * (4 * r + k + 1) ^ 0xBF58476D1CE4E5B9ULL;
  for (int i = 0; i < n; i++) { /* Box-Muller; the paper's initial profile */
    const double x = i / (n - 1.), mu = erf(27 * pow(x - .5, 3)), sigma = (1 - cos(2 * M_PI * x)) / 1000;
    next(word);
    next(other);
    for (int r = 0; r < REPLICAS; r++)
      v[i * REPLICAS + r] = mu + sigma * sqrt(-2 * log(1 - (word[r] >> 11) * 0x1.0p-53))
                                     * cos(2 * M_PI * (other[r] >> 11) * 0x1.0p-53);
  }
  const double before = energy(v, n);
  struct timespec t0, t1;
  clock_gettime(CLOCK_MONOTONIC, &t0);
  collide(v, n, collisions);
  clock_gettime(CLOCK_MONOTONIC, &t1);
  const double seconds = (t1.tv_sec - t0.tv_sec) + 1e-9 * (t1.tv_nsec - t0.tv_nsec);
  printf("%.6f %.6e %.3e\n", seconds, REPLICAS * (double)collisions / seconds, energy(v, n) / before - 1);
  return 0;
}
