/* The stronger opponent: the Kac model with a reservoir as C that a good programmer would write, REPLICAS at a time.
 *
 *   gcc -O3 -march=native -ffast-math -o kac_vector kac_vector.c -lm
 *   ./kac_vector M N EVENTS     (events per replica)
 *
 * All three rates are 1, and there are no clocks. Replicas are innermost, loops plain and without branches, so that gcc
 * computes with vectors and takes the sines from libmvec; three random words an event. Prints as kac_scalar does. */
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

static void collide(double *restrict v, long m, long n, long events) {
  const long row = (m + n) * REPLICAS;
  const double system = m > 1 ? m / 2. : 0, reservoir = n > 1 ? n / 2. : 0, rate = system + m + reservoir;
  const uint64_t first = (uint64_t)(0x1p32 * system / rate), second = (uint64_t)(0x1p32 * (system + m) / rate);
  uint64_t one[REPLICAS], two[REPLICAS], turn[REPLICAS];
  long i[REPLICAS], j[REPLICAS];
  double p[3][REPLICAS], q[3][REPLICAS];
  for (long k = 0; k < events; k++) {
    next(one);
    next(two);
    next(turn);
    for (int r = 0; r < REPLICAS; r++) {
      const uint64_t kind = one[r] >> 32;
      const int alike = kind < first || kind >= second; /* both in the system, or both in the reservoir */
      const long low = kind < second ? 0 : m, size = kind < second ? m : n;
      const long from = kind < first ? 0 : m, among = (kind < first ? m : n) - alike;
      const long here = (long)((one[r] & 0xffffffff) * (uint64_t)size >> 32);
      long there = (long)((two[r] >> 32) * (uint64_t)among >> 32);
      there += alike & (there >= here);
      i[r] = (low + here) * REPLICAS + r;
      j[r] = (from + there) * REPLICAS + r;
    }
    for (int c = 0; c < 3; c++)
      for (int r = 0; r < REPLICAS; r++) p[c][r] = v[c * row + i[r]], q[c][r] = v[c * row + j[r]];
    for (int r = 0; r < REPLICAS; r++) {
      const double z = (double)(int64_t)(two[r] & 0xffffffff) * 0x1p-31 - 1, radius = sqrt(1 - z * z);
      const double angle = (double)(int64_t)(turn[r] >> 12) * (2 * M_PI * 0x1.0p-52);
      const double x = radius * sin(angle), y = radius * sin(angle + M_PI / 2); /* gcc has no vector sincos */
      const double by = (q[0][r] - p[0][r]) * x + (q[1][r] - p[1][r]) * y + (q[2][r] - p[2][r]) * z;
      p[0][r] += by * x, p[1][r] += by * y, p[2][r] += by * z;
      q[0][r] -= by * x, q[1][r] -= by * y, q[2][r] -= by * z;
    }
    for (int c = 0; c < 3; c++)
      for (int r = 0; r < REPLICAS; r++) v[c * row + i[r]] = p[c][r], v[c * row + j[r]] = q[c][r];
  }
}

static double energy(const double *v, long size) {
  double sum = 0;
  for (long i = 0; i < size; i++) sum += v[i] * v[i];
  return sum;
}

int main(int argc, char **argv) {
  if (argc != 4) return fprintf(stderr, "usage: %s M N EVENTS\n", argv[0]), 2;
  const long m = atol(argv[1]), n = atol(argv[2]), events = atol(argv[3]), size = 3 * (m + n) * REPLICAS;
  double *v = malloc(size * sizeof *v);
  uint64_t word[REPLICAS], other[REPLICAS];
  for (int r = 0; r < REPLICAS; r++)
    for (int k = 0; k < 4; k++) s[k][r] = 0x9E3779B97F4A7C15ULL * (4 * r + k + 1) ^ 0xBF58476D1CE4E5B9ULL;
  for (long i = 0; i < size; i += REPLICAS) {
    next(word);
    next(other);
    for (int r = 0; r < REPLICAS; r++)
      v[i + r] = sqrt(-2 * log(1 - (word[r] >> 11) * 0x1.0p-53)) * cos(2 * M_PI * (other[r] >> 11) * 0x1.0p-53);
  }
  const double before = energy(v, size);
  struct timespec t0, t1;
  clock_gettime(CLOCK_MONOTONIC, &t0);
  collide(v, m, n, events);
  clock_gettime(CLOCK_MONOTONIC, &t1);
  const double seconds = (t1.tv_sec - t0.tv_sec) + 1e-9 * (t1.tv_nsec - t0.tv_nsec);
  printf("%.6f %.6e %.3e\n", seconds, REPLICAS * (double)events / seconds, energy(v, size) / before - 1);
  return 0;
}
